"""Go on a small board: surround, capture, and own more of the board at the end.

Rules: a group without a free point next to it is captured. A move that would leave one's own stones so (suicide) is not
legal, nor is one that takes back a single stone at once (simple ko). Two passes in a row end the game; one that is
longer than `task.data["turns"]` is scored as it stands. Area scoring, as in the Chinese rules: stones, and empty points
that only one colour touches; all stones count as alive. White gets `komi` points for moving second.

Simple ko allows longer cycles, such as three kos, which positional superko forbids; the limit of moves ends them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Self

from strop.environments._match import ILLEGAL, Match, anyone
from strop.types import Player, Task

if TYPE_CHECKING:
    import numpy as np

SIDE = 5
POINTS = tuple(f"{column}{row}" for row in range(1, SIDE + 1) for column in "abcde"[:SIDE])
PASS = "pass"
MINE, YOURS, FREE, KO = "xo.*"
BLACK, WHITE = "black", "white"
PASSED = "passed"
KOMI = 0.5
TURNS = 60


def _near(at: int) -> int:
    row, column = divmod(at, SIDE)
    around = [(row - 1, column), (row + 1, column), (row, column - 1), (row, column + 1)]
    return sum(1 << (r * SIDE + c) for r, c in around if 0 <= r < SIDE and 0 <= c < SIDE)


NEAR = tuple(_near(at) for at in range(SIDE * SIDE))
"""The neighbours of each point. A set of points is a number: its bit i is the point i."""
ALL = (1 << SIDE * SIDE) - 1
FIRST_COLUMN = sum(1 << row * SIDE for row in range(SIDE))
LAST_COLUMN = FIRST_COLUMN << SIDE - 1


def beside(points: int) -> int:
    """All neighbours of these points; some of them may be among the points."""
    rows = points << SIDE | points >> SIDE
    return (rows | (points & ~LAST_COLUMN) << 1 | (points & ~FIRST_COLUMN) >> 1) & ALL


def group_of(seed: int, among: int) -> int:
    """The points of `among` that hang together with `seed`."""
    while (grown := (seed | beside(seed)) & among) != seed:
        seed = grown
    return seed


@cache
def points_in(points: int) -> tuple[int, ...]:
    """The numbers of these points."""
    return tuple(at for at in range(SIDE * SIDE) if points >> at & 1)


class Go(Match):
    """`task.data`: `moves` that were made before, black first, such as ["c3", "pass"]; `komi` (0.5); `turns` (60), the
    moves after which the game is scored.

    A position is the board, row by row: x of the player to move, o of the other, a star where ko forbids to move; then
    the player's colour, the komi, the moves that are left, and "passed" if the last move was a pass. For the rest see
    `Match`.
    """

    @dataclass(frozen=True, slots=True)
    class Position:
        """`mine` and `yours` are the points of either player as sets, `ko` the point that is forbidden."""

        mine: int = 0
        yours: int = 0
        ko: int = 0
        passes: int = 0
        is_black: bool = True
        komi: float = KOMI
        left: int = TURNS

        @classmethod
        def read(cls, text: str) -> Self:
            """The position of a text, as `str` wrote it."""
            words = [word for word in text.split() if word != ILLEGAL]
            marks, rest = words[: SIDE * SIDE], words[SIDE * SIDE :]
            mine, yours, ko = (sum(1 << i for i, one in enumerate(marks) if one == mark) for mark in (MINE, YOURS, KO))
            return cls(mine, yours, ko, int(PASSED in rest), BLACK in rest, float(rest[2]), int(rest[4]))

        @property
        def moves(self) -> tuple[str, ...]:
            """The points where a stone may be put, and passing."""
            if self.passes == 2 or self.left == 0:
                return ()
            return (*(POINTS[at] for at in self.points), PASS)

        @property
        def points(self) -> tuple[int, ...]:
            """The numbers of the points where a stone may be put."""
            empty = ALL & ~(self.mine | self.yours)
            free = beside(empty)  # beside a free point every stone can stay
            return tuple(at for at in points_in(empty & ~self.ko) if free >> at & 1 or self._stays(1 << at))

        def _stays(self, stone: int) -> bool:
            """Whether a stone on a point without free neighbours has one in the end."""
            empty = ALL & ~(self.mine | self.yours | stone)
            if beside(group_of(stone, self.mine | stone)) & empty:
                return True
            return bool(self._captured(stone))

        def _captured(self, stone: int) -> int:
            """The stones that are captured by a stone."""
            empty, found = ALL & ~(self.mine | self.yours | stone), 0
            for at in points_in(beside(stone) & self.yours):
                group = group_of(1 << at, self.yours)
                if not beside(group) & empty:
                    found |= group
            return found

        def after(self, move: str) -> Self:
            """The board after a stone or a pass, seen by the other player."""
            if move == PASS:
                return self._other(self.mine, self.yours, 0, self.passes + 1)
            return self.with_stone(POINTS.index(move))

        def with_stone(self, at: int) -> Self:
            """The board after a stone on a legal point, seen by the other player."""
            stone = 1 << at
            captured = self._captured(stone)
            mine, yours = self.mine | stone, self.yours & ~captured
            empty = ALL & ~(mine | yours)
            # a lone stone that took one stone and could itself be taken at once
            is_ko = captured.bit_count() == 1 and not beside(stone) & mine and beside(stone) & empty == captured
            return self._other(mine, yours, captured if is_ko else 0, 0)

        def _other(self, mine: int, yours: int, ko: int, passes: int) -> Self:
            return replace(
                self, mine=yours, yours=mine, ko=ko, passes=passes, is_black=not self.is_black, left=self.left - 1
            )

        @property
        def lead(self) -> float:
            """The area of the player to move minus that of the other, with komi."""
            area = self.mine.bit_count() - self.yours.bit_count()
            empty = ALL & ~(self.mine | self.yours)
            while empty:
                region = group_of(empty & -empty, empty)
                touched = beside(region)
                area += region.bit_count() * (bool(touched & self.mine) - bool(touched & self.yours))
                empty &= ~region
            return area - self.komi if self.is_black else area + self.komi

        @property
        def score(self) -> float:
            """1 for the player with more area, 0.5 if both have as much."""
            return 0.5 if self.lead == 0.0 else float(self.lead > 0.0)

        def __str__(self) -> str:
            def mark(at: int) -> str:
                return next((one for one, points in there if points >> at & 1), FREE)

            there = ((MINE, self.mine), (YOURS, self.yours), (KO, self.ko))
            rows = (" ".join(mark(row * SIDE + column) for column in range(SIDE)) for row in range(SIDE))
            facts = f"{BLACK if self.is_black else WHITE} komi {self.komi:g} left {self.left}"
            return "\n".join([*rows, facts + f" {PASSED}" * self.passes])

    def __init__(self, task: Task, rng: np.random.Generator, opponent: Player = anyone) -> None:
        position = self.Position(komi=float(task.data.get("komi", KOMI)), left=int(task.data.get("turns", TURNS)))
        for move in task.data.get("moves", ()):
            if move not in position.moves:
                raise ValueError(f"task {task.id}: {move!r} is not legal in {str(position)!r}.")
            position = position.after(move)
        super().__init__(task, rng, position, opponent)


def go_playout(position: Go.Position, rng: np.random.Generator) -> float:
    """The score for the player to move if both play at random, but never into an own eye and pass at the end alone."""
    turn = 0
    while position.passes < 2 and position.left > 0:
        points = [at for at in position.points if NEAR[at] & ~position.mine]
        position = position.with_stone(points[int(rng.integers(len(points)))]) if points else position.after(PASS)
        turn += 1
    return position.score if turn % 2 == 0 else 1.0 - position.score


def examples() -> list[tuple[Task, list[str], float]]:
    """(task, the texts of a perfect player, their summed turn rewards)."""
    # black holds a wall, white one stone; white has just passed, and black ends the game by passing
    moves = ["c1", "e5", "c2", "pass", "c3", "pass", "c4", "pass", "c5", "pass"]
    return [(Task(id="1", prompt="", data={"moves": moves}), ["pass"], 1.0)]
