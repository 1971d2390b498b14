"""A game for two as the environment of one of them: the other one is a callable."""

from __future__ import annotations

from typing import TYPE_CHECKING

from strop.types import End, Observation, Player, Position, Step, Task

if TYPE_CHECKING:
    import numpy as np

ILLEGAL = "illegal"
"""The word before a position that is shown again, after a move that its rules do not allow."""
LIVES = 3
"""The illegal move that loses the game."""


class Match:
    """A game from a position in which the policy is to move, against an opponent who is asked like a baseline.

    Each prompt is the position alone, as the player to move sees it, with its legal moves as choices. The end pays 1
    for a win, 0.5 for a draw and 0 for a loss. An illegal move, where choices are off, is answered
    by the word "illegal" and the same position; the third one loses the game.
    """

    def __init__(self, task: Task, rng: np.random.Generator, position: Position, opponent: Player) -> None:
        if not position.moves:
            raise ValueError(f"task {task.id}: the game is over in {str(position)!r}: begin it where there are moves.")
        self._task, self._rng, self._position, self._opponent = task, rng, position, opponent
        self._lives, self._turn = LIVES, 0

    def start(self) -> Step:
        """The position, and the legal moves."""
        return self._shown()

    def step(self, text: str) -> Step:
        """The position after the move and the opponent's reply."""
        if text.strip() not in self._position.moves:
            return self._refused()
        self._position = self._position.after(text.strip())
        if not self._position.moves:
            return Step("", reward=1.0 - self._position.score, end=End.TERMINATED)
        self._position = self._position.after(self._reply())
        if not self._position.moves:
            return Step("", reward=self._position.score, end=End.TERMINATED)
        self._turn += 1
        return self._shown()

    def close(self) -> None:
        """Nothing to free."""

    def _shown(self, before: str = "") -> Step:
        return Step(before + str(self._position), replaces=True, choices=self._position.moves)

    def _refused(self) -> Step:
        self._lives -= 1
        return self._shown(f"{ILLEGAL}\n") if self._lives else Step(ILLEGAL, end=End.TERMINATED)

    def _reply(self) -> str:
        """The opponent's move. Raises ValueError for one that is not legal."""
        position = self._position
        move = self._opponent(self._task, Observation(str(position), position.moves, self._turn, self._rng))
        if move not in position.moves:
            raise ValueError(f"the opponent's move {move!r} is none of {', '.join(position.moves)}.")
        return move


def anyone(task: Task, seen: Observation) -> str:
    """The opponent who makes a random legal move."""
    return seen.choices[int(seen.rng.integers(len(seen.choices)))]
