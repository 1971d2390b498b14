"""A gold score: is the text about the task's words, according to a sentence encoder?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from strop.rewards._text import fall, words_of
from strop.types import Episode, Task, check_fields


@dataclass(frozen=True, slots=True, kw_only=True)
class Similarity:
    """From the cosine between the text and `task.data["words"]`; 0 to 1. Wrap it in `GroupReward`.

    1 between a cosine of `about` and `stuffed`; below it falls linearly to 0 at 0, and above to 0 at 1, because a list
    of the words has the highest cosine of all, but is not a story. `embed(texts)` returns one unit vector per text.

    Cheated by: naming things of the same kind. Use it as a gold score, not for training.
    """

    embed: Callable[[Sequence[str]], Any]
    about: float = 0.5
    stuffed: float = 0.7

    def __post_init__(self) -> None:
        check_fields(self)

    def __call__(self, task: Task, episodes: Sequence[Episode]) -> list[float]:
        words = task.data.get("words", ())
        if not words:
            raise ValueError(f'task {task.id!r}: Similarity needs data["words"], a list of words.')
        texts = [episode.text for episode in episodes]
        target, *vectors = self.embed([", ".join(words), *texts])
        return [
            self._score(float(vector @ target)) if words_of(text) else 0.0
            for text, vector in zip(texts, vectors, strict=True)
        ]

    def _score(self, cosine: float) -> float:
        return fall(cosine, full=self.about, zero=0.0) * fall(cosine, full=self.stuffed, zero=1.0)
