"""Nim: take any number of matches from one heap; whoever takes the last match wins.

Bouton 1901: the player to move wins if and only if the exclusive or of the heaps is not 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from strop.environments._match import ILLEGAL, Match, anyone
from strop.types import Player, Task

if TYPE_CHECKING:
    import numpy as np

NAMES = "abcdefgh"
"""Of the heaps, in order."""


class Nim(Match):
    """`task.data["heaps"]`: the matches of each heap, eight heaps at most. For the rest see `Match`."""

    @dataclass(frozen=True, slots=True)
    class Position:
        """The matches of each heap. A move names a heap and how many are taken: "b3"."""

        matches: tuple[int, ...]

        @classmethod
        def read(cls, text: str) -> Self:
            """The heaps of a text, as `str` wrote it."""
            return cls(tuple(int(word) for word in text.split() if word != ILLEGAL))

        @property
        def moves(self) -> tuple[str, ...]:
            """Every number from every heap."""
            named = zip(NAMES, self.matches, strict=False)
            return tuple(f"{name}{number}" for name, matches in named for number in range(1, matches + 1))

        @property
        def score(self) -> float:
            """Of the player who finds no match: lost."""
            return 0.0

        def after(self, move: str) -> Self:
            """The heaps without the matches that were taken."""
            heap, taken = NAMES.index(move[0]), int(move[1:])
            return type(self)(tuple(left - taken * (i == heap) for i, left in enumerate(self.matches)))

        def __str__(self) -> str:
            return " ".join(map(str, self.matches))

    def __init__(self, task: Task, rng: np.random.Generator, opponent: Player = anyone) -> None:
        heaps = tuple(int(number) for number in task.data["heaps"])
        if len(heaps) > len(NAMES) or min(heaps, default=0) < 0:
            raise ValueError(f"task {task.id}: heaps={list(heaps)}: from one to {len(NAMES)} numbers, none below 0.")
        super().__init__(task, rng, self.Position(heaps), opponent)


def nim_sum(heaps: Nim.Position) -> int:
    """The exclusive or of the heaps: 0 where the player to move loses against a perfect one."""
    found = 0
    for matches in heaps.matches:
        found ^= matches
    return found


def examples() -> list[tuple[Task, list[str], float]]:
    """(task, the texts of a perfect player, their summed turn rewards)."""
    return [(Task(id="1", prompt="", data={"heaps": [0, 3]}), ["b3"], 1.0)]
