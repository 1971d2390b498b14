"""A gold score: is the text about its words, as a sentence encoder sees it?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from strop.rewards._text import fall, words_of
from strop.types import Episode, Task, check_fields


@dataclass(frozen=True, slots=True, kw_only=True)
class Similarity:
    """Cosine between the text and `task.data["words"]`; 0 to 1. A reward of a group: wrap it in `GroupReward`.

    It falls in a straight line from 1 at a cosine of `about` to 0 at 0, and above `stuffed` it falls again, to 0 at a
    cosine of 1: the words themselves are closest to the words, and a list of them is no story.
    `embed(texts)` returns one vector of length 1 a text.

    Cheated by: naming things of the same kind. It is meant to be watched and not trained on.
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
