"""The probability of a class, by a classifier that you trained."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from strop.functional.bounds import check_at_least
from strop.types import Episode, Task, check_fields


@dataclass(frozen=True, slots=True)
class Classified:
    """The probability, 0 to 1, that a classifier gives to one class. Wrap it in `GroupReward`.

    probabilities  from texts to a table with a row for each and a column for each class, such as the `predict_proba` of
                   a scikit-learn pipeline
    label          the number of the column

    For a model that scores an answer to its prompt, any real number, take `Learned`.

    Cheated by: what the classifier never saw: words that go with the class, over and over. Watch a gold score.
    """

    probabilities: Callable[[Sequence[str]], Any]
    label: int = 1

    def __post_init__(self) -> None:
        check_fields(self)
        check_at_least("Classified.label", self.label, 0)

    def __call__(self, task: Task, episodes: Sequence[Episode]) -> list[float]:
        rows = self.probabilities([episode.text for episode in episodes])
        if len(rows) != len(episodes) or any(self.label >= len(row) for row in rows):
            raise ValueError(
                f"Classified: the classifier gave {len(rows)} rows of {[len(row) for row in rows][:1]} classes for "
                f"{len(episodes)} texts, and label={self.label} is read: a row for each text, a column for each class."
            )
        return [float(row[self.label]) for row in rows]
