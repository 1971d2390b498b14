"""A position of a game for two, as its rules tell it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, Self, TypeAlias, runtime_checkable

from strop.types.observation import Observation
from strop.types.records import Task

Player: TypeAlias = Callable[[Task, Observation], str]
"""Who moves: an opponent is asked as a baseline is."""


@runtime_checkable
class Position(Protocol):
    """A position, seen by the player to move: frozen and hashable. Its `str` is what that player reads."""

    def __hash__(self) -> int: ...

    @property
    def moves(self) -> tuple[str, ...]:
        """The legal moves; none if the game is over."""

    @property
    def score(self) -> float:
        """Of a game that is over, for the player who would move next: 1 won, 0.5 drawn, 0 lost."""

    def after(self, move: str) -> Self:
        """The position after a legal move, seen by the other player."""
