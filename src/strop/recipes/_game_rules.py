"""What the recipe of games needs to know of each: its environment, its words, and how long its positions are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from strop import environments
from strop.environments.blackjack import CARD_MOVES
from strop.environments.go import KOMI, PASS, POINTS, TURNS
from strop.environments.gridworld import MOVES
from strop.environments.taxi import INSIDE, STANDS, TAXI_MOVES
from strop.environments.tictactoe import SQUARES
from strop.recipes import _game_players as players
from strop.recipes import _game_starts as starts
from strop.recipes._game_starts import Starts
from strop.types import Player


@dataclass(frozen=True, slots=True, kw_only=True)
class Learning:
    """How PPO learns a game.

    lr        learning rate of the transformer
    entropy   the weight of its bonus
    discount  of later rewards
    critic    the weight of the critic's errors: little where returns are large
    games     of a step: many where luck decides most of them
    """

    lr: float = 1e-3
    entropy: float = 0.01
    discount: float = 1.0
    critic: float = 1.0
    games: int = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What a recipe needs to know of a game.

    environment  its class
    starts       seed -> where its games begin, to train on and held out
    greedy       a player who looks no further than one move
    perfect      the perfect player; none for Go
    words        what positions and moves are written with
    context      the most words of a position, and one for the move
    opponents    whom a policy trains against, if nobody says: names, with commas; none in games for one
    teacher      whom it imitates first, if nobody says
    learning     how it learns
    """

    environment: Any
    starts: Callable[[int], Starts]
    greedy: Player
    perfect: Player | None
    words: Sequence[str]
    context: int
    opponents: str = ""
    teacher: str = "none"
    learning: Learning = Learning()

    @property
    def is_for_two(self) -> bool:
        """Whether there is an opponent."""
        return bool(self.opponents)


def numbers(first: int, last: int) -> list[str]:
    """Whole numbers as words."""
    return [str(number) for number in range(first, last + 1)]


GAMES: dict[str, Rules] = {
    "nim": Rules(
        environment=environments.Nim,
        starts=starts.nim,
        greedy=players.greedy_nim,
        perfect=players.perfect_nim,
        words=[*numbers(0, 7), *(f"{heap}{taken}" for heap in "abc" for taken in range(1, 8))],
        context=4,
        opponents="perfect",
    ),
    "tictactoe": Rules(
        environment=environments.TicTacToe,
        starts=starts.tictactoe,
        greedy=players.greedy_tictactoe,
        perfect=players.perfect_tictactoe,
        words=["x", "o", ".", *SQUARES],
        context=10,
        opponents="random,perfect",
    ),
    "go": Rules(
        environment=environments.Go,
        starts=starts.go,
        greedy=players.greedy_go,
        perfect=None,
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
        opponents="random",
    ),
    "gridworld": Rules(
        environment=environments.GridWorld,
        starts=starts.gridworld,
        greedy=players.greedy_gridworld,
        perfect=players.perfect_gridworld,
        words=["@", "#", "G", ".", *MOVES],
        context=26,
        learning=Learning(lr=5e-4, entropy=0.02, discount=0.95),
    ),
    "guess_number": Rules(
        environment=environments.GuessNumber,
        starts=starts.guess_number,
        greedy=players.greedy_guess_number,
        perfect=players.perfect_guess_number,
        words=["from", "to", "guesses", *numbers(1, 31)],
        context=7,
    ),
    "frozen_lake": Rules(
        environment=environments.FrozenLake,
        starts=starts.frozen_lake,
        greedy=players.greedy_frozen_lake,
        perfect=players.perfect_frozen_lake,
        words=["@", "F", "H", "G", *MOVES],
        context=17,
        learning=Learning(lr=5e-4, entropy=0.02, discount=0.95),
    ),
    "blackjack": Rules(
        environment=environments.Blackjack,
        starts=starts.blackjack,
        greedy=players.greedy_blackjack,
        perfect=players.perfect_blackjack,
        words=["you", "dealer", "ace", "yes", "no", *CARD_MOVES, *numbers(1, 21)],
        context=7,
        learning=Learning(lr=5e-4, entropy=0.003, games=512),
    ),
    "taxi": Rules(
        environment=environments.Taxi,
        starts=starts.taxi,
        greedy=players.greedy_taxi,
        perfect=players.perfect_taxi,
        words=[
            *("taxi", "row", "column", "passenger", "destination"),
            *(*STANDS, INSIDE, *TAXI_MOVES, *numbers(0, 4)),
        ],
        context=10,
        teacher="greedy",
        learning=Learning(lr=3e-4, entropy=0.02, discount=0.95, critic=0.01),
    ),
}
