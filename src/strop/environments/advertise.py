"""Advertising: a visitor comes, told in words; one ad is shown, and is clicked or not. A bandit with contexts."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import TYPE_CHECKING

from strop.types import End, Step, Task

if TYPE_CHECKING:
    import numpy as np

VISITORS = tuple(" ".join(words) for words in product(("young", "old"), ("city", "country"), ("phone", "desk")))
"""Each equally likely."""
CLICKS: Mapping[str, Mapping[str, int]] = {
    "bike": {"": 4, "young": 6, "city": 4},
    "garden": {"": 3, "old": 6, "country": 6},
    "film": {"": 8, "phone": 4},
    "bank": {"": 2, "old": 4, "desk": 8},
}
"""Of a hundred visitors so many click on an ad, and so many more for each word that is true of them."""
ADS = tuple(CLICKS)


class Advertise:
    """`task.data["visitor"]`: three words; `task.data["mood"]`: a number from 0 to 1. What is left out is drawn.

    A click pays 1. A visitor clicks on an ad if their mood is below its click rate, so that all who show ads meet the
    same people in the same mood. A text that is no ad is never clicked.
    """

    def __init__(self, task: Task, rng: np.random.Generator) -> None:
        drawn = VISITORS[int(rng.integers(len(VISITORS)))]
        self._visitor = str(task.data.get("visitor", drawn))
        if self._visitor not in VISITORS:
            raise ValueError(f"task {task.id}: visitor={self._visitor!r}: it is one of {', '.join(VISITORS)}.")
        self._mood = float(task.data.get("mood", rng.random()))

    def start(self) -> Step:
        """The visitor."""
        return Step(self._visitor, choices=ADS)

    def step(self, text: str) -> Step:
        """The click."""
        ad = text.strip()
        is_clicked = ad in ADS and self._mood < click_rate(self._visitor, ad)
        return Step("", float(is_clicked), End.TERMINATED)

    def close(self) -> None:
        """Nothing to free."""


def click_rate(visitor: str, ad: str) -> float:
    """How often such a visitor clicks on an ad."""
    points = CLICKS[ad]
    return (points[""] + sum(points.get(word, 0) for word in visitor.split())) / 100


def examples() -> list[tuple[Task, list[str], float]]:
    """(task, the texts of a perfect player, their summed turn rewards)."""
    return [(Task(id="1", prompt="", data={"visitor": "young city phone", "mood": 0.13}), ["bike"], 1.0)]
