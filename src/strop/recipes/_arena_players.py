"""What a recipe needs to know of a TextArena game, and players by the odds of their moves."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from strop.types import Observation, Step, Task

Odds: TypeAlias = Callable[[str, tuple[str, ...]], dict[str, float]]
"""(what a player sees, the legal moves) -> the probability of each move that may be made."""
Starts: TypeAlias = tuple[list[Task], list[Task]]
"""To train on, and held out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ArenaGame:
    """What a recipe needs to know of a game.

    name        of TextArena, with `options` of its constructor
    read        what the policy sees of what TextArena says
    words       what that and the moves are written with
    context     the most words of a prompt and a move
    move_words  of each move
    starts      (seed, opponent) -> tasks; `data["best"]` is the optimum against that opponent
    players     by their odds, "rule" among them
    optimum     (opponent, task, seen) -> the move of the best answer to that opponent
    """

    name: str
    read: Callable[[str], Step]
    words: Sequence[str]
    context: int
    starts: Callable[[int, str], Starts]
    players: Mapping[str, Odds]
    optimum: Callable[[str, Task, Observation], str]
    move_words: int = 1
    is_for_two: bool = True
    options: Mapping[str, Any]


def evenly(moves: Sequence[str]) -> dict[str, float]:
    """Each with the same probability."""
    return {move: 1.0 / len(moves) for move in moves}


def anything(text: str, choices: tuple[str, ...]) -> dict[str, float]:
    """Any legal move."""
    return evenly(choices)


def drawn(odds: Mapping[str, float], seen: Observation) -> str:
    """A move by these odds."""
    moves = list(odds)
    return moves[int(seen.rng.choice(len(moves), p=list(odds.values())))]
