"""TextArena's Pig: roll as often as you dare; a 1 loses what the turn had; hold to keep it; first to 30 wins.

The optimum is that of Neller and Presser (2004, "Optimal play of the dice game Pig"), here against a given opponent.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

import numpy as np

from strop.recipes._arena_players import Odds, Starts, anything
from strop.types import Observation, Step, Task

NAME = "PigDice-v0-train"
GOAL = 30
OPTIONS = {"winning_score": GOAL, "max_turns": 1000}
ROLL, HOLD = "roll", "hold"
GAINS = (2, 3, 4, 5, 6)
HOLD_AT = 20
"""Knizia's rule: the next roll loses as much as it gains on average when the turn has 20."""
WORDS = ("mine", "other", "turn", ROLL, HOLD, *(str(number) for number in range(GOAL + 1)))
CONTEXT = 7
JUDGED = 400
PRECISION = 1e-10


def read(said: str) -> Step:
    """Both scores as the player sees them, and what the turn has so far, at most what wins."""
    player = int(re.search(r"You are Player (\d)", said)[1])  # type: ignore[index]
    board = said.rpartition("Current Total Scores:")[2]
    scores = [int(score) for score in re.findall(r"Player \d: '(\d+)'", board)[:2]]
    turn = int(re.search(r"turn total is (\d+)", board)[1])  # type: ignore[index]
    text = f"mine {scores[player]}\nother {scores[1 - player]}\nturn {min(turn, GOAL)}"
    return Step(text, choices=(ROLL, HOLD))


def state_of(text: str) -> tuple[int, int, int]:
    """(the own score, the other's, what the turn has), as `read` told it."""
    _, mine, _, other, _, turn = text.split()
    return int(mine), int(other), int(turn)


def rule(text: str, choices: tuple[str, ...]) -> dict[str, float]:
    """Hold when the turn has 20, or enough to win."""
    mine, _, turn = state_of(text)
    return {HOLD if turn >= HOLD_AT or mine + turn >= GOAL else ROLL: 1.0}


PLAYERS: dict[str, Odds] = {"random": anything, "rule": rule}


@dataclass(frozen=True, slots=True)
class Solved:
    """The chance to win [own score, other's, turn] where the policy is to move: of rolling, and of holding.

    `second` is the chance where the opponent begins.
    """

    roll_SST: np.ndarray
    hold_SST: np.ndarray
    second: float

    @property
    def best_SST(self) -> np.ndarray:
        """Of the better one."""
        return np.asarray(np.maximum(self.roll_SST, self.hold_SST))


def optimum(opponent: str, task: Task, seen: Observation) -> str:
    """The move after which winning is likeliest against this opponent."""
    at, found = state_of(seen.text), solved(opponent)
    return ROLL if found.roll_SST[at] > found.hold_SST[at] else HOLD


@cache
def solved(opponent: str) -> Solved:
    """By value iteration over both players' turns, until no chance changes by more than 1e-10."""
    rolls_SST = _rolls(opponent)
    ours_SST = np.zeros((GOAL, GOAL, GOAL + 1))
    theirs_SST = np.zeros((GOAL, GOAL, GOAL + 1))  # [the opponent's score, ours, their turn]: our chance to win
    while True:
        roll_SST, hold_SST = _rolled(ours_SST, theirs_SST), _held(theirs_SST, wins=1.0)
        better_SST = np.maximum(roll_SST, hold_SST)
        other_SST = rolls_SST * _rolled(theirs_SST, better_SST) + (1.0 - rolls_SST) * _held(better_SST, wins=0.0)
        change = max(abs(better_SST - ours_SST).max(), abs(other_SST - theirs_SST).max())
        ours_SST, theirs_SST = better_SST, other_SST
        if change < PRECISION:
            return Solved(roll_SST, hold_SST, float(theirs_SST[0, 0, 0]))


def _rolled(own_SST: np.ndarray, next_SST: np.ndarray) -> np.ndarray:
    """Our chance after a roll: a 1 hands over, any other adds to the turn."""
    turn_T = np.arange(GOAL + 1)
    lost_SS = next_SST[:, :, 0].T
    gained_SST = sum(own_SST[:, :, np.minimum(turn_T + gain, GOAL)] for gain in GAINS)
    return np.asarray((lost_SS[:, :, None] + gained_SST) / 6.0)


def _held(next_SST: np.ndarray, wins: float) -> np.ndarray:
    """Our chance after a hold, which wins the game for its player at `GOAL`."""
    found_SST = np.full((GOAL, GOAL, GOAL + 1), wins)
    for score in range(GOAL):
        for turn in range(GOAL - score):
            found_SST[score, :, turn] = next_SST[:, score + turn, 0]
    return found_SST


def _rolls(opponent: str) -> np.ndarray:
    """The probability that the opponent rolls, [their score, 1, their turn]: none of `PLAYERS` looks at the other's."""
    odds = PLAYERS[opponent]
    rolls_ST = [
        [odds(f"mine {score}\nother 0\nturn {turn}", (ROLL, HOLD)).get(ROLL, 0.0) for turn in range(GOAL + 1)]
        for score in range(GOAL)
    ]
    return np.array(rolls_ST)[:, None, :]


def starts(seed: int, opponent: str) -> Starts:
    """The policy begins every other game. No start can be held out: other dice are."""
    found = solved(opponent)
    best = [2.0 * float(found.best_SST[0, 0, 0]) - 1.0, 2.0 * found.second - 1.0]
    data = [{"seat": seat, "best": best[seat]} for seat in (0, 1)]
    train = [Task(f"train-{seat}", "", data=data[seat]) for seat in (0, 1)]
    return train, [Task(f"held-out-{i}", "", data=data[i % 2]) for i in range(JUDGED)]
