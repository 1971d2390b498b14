"""Tic-tac-toe: three marks in a row win; a full board without them is a draw. Perfect players draw."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from strop.environments._match import ILLEGAL, Match, anyone
from strop.types import Player, Task

if TYPE_CHECKING:
    import numpy as np

MINE, YOURS, FREE = "xo."
SQUARES = tuple(f"{column}{row}" for row in "123" for column in "abc")
LINES = (
    *((row, row + 1, row + 2) for row in (0, 3, 6)),
    *((column, column + 3, column + 6) for column in (0, 1, 2)),
    (0, 4, 8),
    (2, 4, 6),
)
EXCHANGED = str.maketrans(MINE + YOURS, YOURS + MINE)


class TicTacToe(Match):
    """`task.data["squares"]`: the board to begin with, nine marks, x the policy's; without it an empty one.

    For the rest see `Match`.
    """

    @dataclass(frozen=True, slots=True)
    class Position:
        """Nine squares, row by row: x of the player to move, o of the other, and a dot where there is none.

        A move names a square, column and row: "a1" is the first one, "c1" ends its row.
        """

        squares: str = FREE * 9

        @classmethod
        def read(cls, text: str) -> Self:
            """The marks of a text, as `str` wrote it. Raises ValueError for a text that is none."""
            squares = "".join(word for word in text.split() if word != ILLEGAL)
            if len(squares) != 9 or not set(squares) <= {MINE, YOURS, FREE}:
                raise ValueError(f"{text!r} is no board: it has nine squares, each of them {MINE}, {YOURS} or {FREE}.")
            return cls(squares)

        @property
        def moves(self) -> tuple[str, ...]:
            """The free squares, unless the other player has three in a row."""
            if self._is_lost:
                return ()
            return tuple(name for name, mark in zip(SQUARES, self.squares, strict=True) if mark == FREE)

        @property
        def score(self) -> float:
            """0 if the other player has three in a row, else a draw."""
            return 0.0 if self._is_lost else 0.5

        def after(self, move: str) -> Self:
            """The board with one more mark, and the players' sides exchanged."""
            at = SQUARES.index(move)
            marked = self.squares[:at] + MINE + self.squares[at + 1 :]
            return type(self)(marked.translate(EXCHANGED))

        def __str__(self) -> str:
            return "\n".join(" ".join(self.squares[row : row + 3]) for row in (0, 3, 6))

        @property
        def _is_lost(self) -> bool:
            return any(all(self.squares[at] == YOURS for at in line) for line in LINES)

    def __init__(self, task: Task, rng: np.random.Generator, opponent: Player = anyone) -> None:
        super().__init__(task, rng, self.Position.read(task.data.get("squares", FREE * 9)), opponent)


def examples() -> list[tuple[Task, list[str], float]]:
    """(task, the texts of a perfect player, their summed turn rewards)."""
    return [
        (Task(id="win", prompt="", data={"squares": "xx.oo...."}), ["c1"], 1.0),
        (Task(id="draw", prompt="", data={"squares": "xoxoxxo.o"}), ["b3"], 0.5),
    ]
