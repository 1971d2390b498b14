"""Gymnasium's Taxi as text: fetch a passenger and bring them to where they want to go, in a town with walls."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from strop.environments.gymnasium import happened, toy_text
from strop.types import End, Step, Task

TAXI_MOVES = ("south", "north", "east", "west", "pickup", "dropoff")
"""In Gymnasium's order."""
STANDS = ("red", "green", "yellow", "blue")
INSIDE = "inside"
ILLEGAL = "illegal"
COST = -1.0
"""Of a turn, as Gymnasium pays it."""


class Taxi:
    """`task.data["turns"]` until it is truncated; `state`, the first one by Gymnasium's number, else one of its 300.

    A turn costs 1, a passenger who arrives pays 20, and picking up or dropping off in the wrong place costs 10. The
    walls are not shown: each prompt says where everybody is, and the choices are Gymnasium's action mask. A text that
    is no action is answered by "illegal" and costs a turn.
    """

    def __init__(self, task: Task, rng: np.random.Generator) -> None:
        self._turns_left, self._rng = int(task.data["turns"]), rng
        state = task.data.get("state")
        self._state = int(rng.choice(first_states()) if state is None else state)

    def start(self) -> Step:
        """Where taxi, passenger and destination are."""
        return self._shown()

    def step(self, text: str) -> Step:
        """Where they are after the action."""
        self._turns_left -= 1
        end = None if self._turns_left > 0 else End.TRUNCATED
        if text.strip() not in TAXI_MOVES:
            return self._shown(COST, end, f"{ILLEGAL}\n")
        outcomes = town().P[self._state][TAXI_MOVES.index(text.strip())]
        _, self._state, reward, is_over = happened(outcomes, self._rng)
        return Step("", float(reward), End.TERMINATED) if is_over else self._shown(float(reward), end)

    def close(self) -> None:
        """Nothing to free."""

    def _shown(self, reward: float = 0.0, end: End | None = None, before: str = "") -> Step:
        return Step(before + taxi_text(self._state), reward, end, replaces=True, choices=taxi_moves(self._state))


@cache
def town() -> Any:
    """Gymnasium's environment, of which only the transitions `P` are played (and read by `planning.mdp_of`)."""
    return toy_text("TaxiEnv")


def first_states() -> list[int]:
    """The 300 states in which an episode may begin: the passenger waits, and not where they want to go."""
    return [int(state) for state in np.flatnonzero(town().initial_state_distrib)]


def taxi_moves(state: int) -> list[str]:
    """The actions that Gymnasium's mask allows."""
    return [move for move, is_legal in zip(TAXI_MOVES, town().action_mask(state), strict=True) if is_legal]


def taxi_text(state: int) -> str:
    """A state in words."""
    row, column, passenger, destination = town().decode(state)
    waits = (*STANDS, INSIDE)[passenger]
    return f"taxi row {row} column {column}\npassenger {waits}\ndestination {STANDS[destination]}"


def taxi_state(text: str) -> int:
    """Gymnasium's number of the state in a text."""
    words = [word for word in text.split() if word != ILLEGAL]
    passenger, destination = (*STANDS, INSIDE).index(words[6]), STANDS.index(words[8])
    return int(town().encode(int(words[2]), int(words[4]), passenger, destination))


def examples() -> list[tuple[Task, list[str], float]]:
    """(task, the texts of a perfect player, their summed turn rewards)."""
    # the taxi is at red (row 0, column 0), where the passenger waits for yellow, four rows below: state 2 of 500
    texts = ["pickup", *["south"] * 4, "dropoff"]
    return [(Task(id="1", prompt="", data={"state": 2, "turns": 20}), texts, 15.0)]
