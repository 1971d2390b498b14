"""What the recipe of games needs to know of each: its environment, its words, and how long its positions are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from strop import environments
from strop.environments.blackjack import CARD_MOVES
from strop.environments.go import KOMI, PASS, POINTS, TURNS
from strop.environments.gridworld import MOVES
from strop.environments.taxi import INSIDE, STANDS, TAXI_MOVES
from strop.environments.tictactoe import SQUARES


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What a recipe needs to know of a game.

    environment   its class
    words         what positions and moves are written with
    context       the most words of a position, and one for the move
    is_for_two    whether there is an opponent
    """

    environment: Any
    words: Sequence[str]
    context: int
    is_for_two: bool = False


def numbers(first: int, last: int) -> list[str]:
    """Whole numbers as words."""
    return [str(number) for number in range(first, last + 1)]


GAMES: dict[str, Rules] = {
    "nim": Rules(
        environment=environments.Nim,
        words=[*numbers(0, 7), *(f"{heap}{taken}" for heap in "abc" for taken in range(1, 8))],
        context=4,
        is_for_two=True,
    ),
    "tictactoe": Rules(
        environment=environments.TicTacToe, words=["x", "o", ".", *SQUARES], context=10, is_for_two=True
    ),
    "go": Rules(
        environment=environments.Go,
        words=[
            "x",
            "o",
            ".",
            "*",
            "black",
            "white",
            "komi",
            str(KOMI),
            "left",
            "passed",
            PASS,
            *POINTS,
            *numbers(0, TURNS),
        ],
        context=32,
        is_for_two=True,
    ),
    "gridworld": Rules(environment=environments.GridWorld, words=["@", "#", "G", ".", *MOVES], context=26),
    "guess_number": Rules(
        environment=environments.GuessNumber, words=["from", "to", "guesses", *numbers(1, 31)], context=7
    ),
    "frozen_lake": Rules(environment=environments.FrozenLake, words=["@", "F", "H", "G", *MOVES], context=17),
    "blackjack": Rules(
        environment=environments.Blackjack,
        words=["you", "dealer", "ace", "yes", "no", *CARD_MOVES, *numbers(1, 21)],
        context=7,
    ),
    "taxi": Rules(
        environment=environments.Taxi,
        words=[
            *("taxi", "row", "column", "passenger", "destination"),
            *(*STANDS, INSIDE, *TAXI_MOVES, *numbers(0, 4)),
        ],
        context=10,
    ),
}
