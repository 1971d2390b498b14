"""TextArena's wild tic-tac-toe: both players may place either mark, and whoever completes three of a kind wins."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from itertools import combinations, product
from typing import Self

from strop.environments.tictactoe import LINES
from strop.recipes._arena_players import Odds, Starts, anything, evenly
from strop.recipes._game_starts import apart, mirrored
from strop.types import Observation, Step, Task

NAME = "WildTicTacToe-v0-train"
FREE, MARKS = ".", "XO"
EXCHANGED = str.maketrans("XO", "OX")
WORDS = (FREE, *MARKS, *(str(square) for square in range(9)))
CONTEXT = 11
"""Nine squares, and the two words of a move."""
OPENED = (2, 3)
"""Marks at the start. Two more are there when a player moves again, so that no game passes through another's start."""

COPIES = 4
"""Games from each held-out board, since most opponents have dice."""


@dataclass(frozen=True, slots=True)
class Wild:
    """Nine squares, row by row, the same for both players. A move names a mark and a square: "X 4" is the centre."""

    squares: str = FREE * 9

    @classmethod
    def read(cls, text: str) -> Self:
        """The squares of a text, as `str` wrote it."""
        return cls("".join(text.split()))

    @property
    def moves(self) -> tuple[str, ...]:
        """Either mark on every free square, unless three of a kind stand in a row."""
        if self._is_won:
            return ()
        return tuple(f"{mark} {at}" for at, one in enumerate(self.squares) if one == FREE for mark in MARKS)

    @property
    def score(self) -> float:
        """0 for who finds three of a kind, else a draw."""
        return 0.0 if self._is_won else 0.5

    def after(self, move: str) -> Self:
        """The board with one more mark."""
        mark, square = move.split()
        at = int(square)
        return type(self)(self.squares[:at] + mark + self.squares[at + 1 :])

    def __str__(self) -> str:
        return "\n".join(" ".join(self.squares[row : row + 3]) for row in (0, 3, 6))

    @property
    def _is_won(self) -> bool:
        return any(self.squares[a] == self.squares[b] == self.squares[c] != FREE for a, b, c in LINES)


def read(said: str) -> Step:
    """The board that stands last in what TextArena says."""
    board = said.rpartition("Current Board:")[2].partition("Available")[0]
    cells = re.findall(r"[XO\d]", board)
    position = Wild("".join(FREE if cell.isdigit() else cell for cell in cells))
    return Step(str(position), choices=position.moves)


def rule(text: str, choices: tuple[str, ...]) -> dict[str, float]:
    """A move that wins at once, else any."""
    board = Wild.read(text)
    return evenly(wins_at(board) or board.moves)


def perfect(text: str, choices: tuple[str, ...]) -> dict[str, float]:
    """The best moves by minimax over all boards."""
    board = Wild.read(text)
    return evenly([move for move in board.moves if -value(kind(board.after(move))) == value(kind(board))])


PLAYERS: dict[str, Odds] = {"random": anything, "rule": rule, "perfect": perfect}


def wins_at(board: Wild) -> list[str]:
    """The moves that win at once."""
    return [move for move in board.moves if board.after(move).score == 0.0]


def kind(board: Wild) -> Wild:
    """The same for boards that are the same game: mirrored, or with the marks exchanged."""
    return Wild(min(mirrored(board.squares), mirrored(board.squares.translate(EXCHANGED))))


@cache
def value(board: Wild) -> float:
    """What a perfect player to move gets from a perfect one, -1 to 1, by minimax."""
    if not board.moves:
        return 2.0 * board.score - 1.0
    return max(-value(kind(board.after(move))) for move in board.moves)


def optimum(opponent: str, task: Task, seen: Observation) -> str:
    """The move that earns most on average against this opponent."""
    board = Wild.read(seen.text)
    return max(board.moves, key=lambda move: earned(kind(board.after(move)), opponent))


def best(board: Wild, opponent: str) -> float:
    """What the best answer to this opponent earns on average from here, -1 to 1, by expectimax."""
    return max(earned(kind(board.after(move)), opponent) for move in board.moves)


@cache
def earned(board: Wild, opponent: str) -> float:
    """What the policy earns on average where the opponent is to move, if the best answers follow."""
    if not board.moves:
        return 1.0 - 2.0 * board.score
    found = 0.0
    for reply, chance in PLAYERS[opponent](str(board), board.moves).items():
        then = board.after(reply)
        found += chance * (best(then, opponent) if then.moves else 2.0 * then.score - 1.0)
    return found


def starts(seed: int, opponent: str) -> Starts:
    """Boards with two or three marks on which nobody wins at once; held out are whole kinds."""
    train, held_out = apart(openings(), kind, seed)
    return _tasks("train", train, opponent), _tasks("held-out", held_out * COPIES, opponent)


def openings() -> list[Wild]:
    """The boards at which a game may begin."""
    found = []
    for num in OPENED:
        for places, marks in product(combinations(range(9), num), product(MARKS, repeat=num)):
            board = Wild()
            for mark, at in zip(marks, places, strict=True):
                board = board.after(f"{mark} {at}")
            if board.moves and not wins_at(board):
                found.append(board)
    return found


def _tasks(name: str, boards: list[Wild], opponent: str) -> list[Task]:
    return [
        Task(f"{name}-{i}", "", data={**_opening(board), "best": best(board, opponent)})
        for i, board in enumerate(boards)
    ]


def _opening(board: Wild) -> dict[str, object]:
    moves = [f"{mark} {at}" for at, mark in enumerate(board.squares) if mark != FREE]
    return {"opening": moves, "seat": len(moves) % 2}
