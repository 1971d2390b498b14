"""TextArena's Secretary: values come one by one, and the one that is accepted wins if it is the largest of all.

Each value is uniform between 0 and 1: Gilbert and Mosteller's problem with full information (1966). Only a
value above all before it, a record, can win. With r values to come a record x should be accepted when

    sum_{j=1..r} (x^-j - 1) / j <= 1
"""

from __future__ import annotations

import math
import re
from functools import cache

from strop.recipes._arena_players import Odds, Starts
from strop.types import Observation, Step, Task

NAME = "Secretary-v0"
NUM_VALUES = 5
ACCEPT, CONTINUE = "accept", "continue"
RECORD, BELOW = "record", "below"
HUNDREDTHS = 100
WORDS = (ACCEPT, CONTINUE, RECORD, BELOW, "left", *(str(number) for number in range(HUNDREDTHS + 1)))
CONTEXT = 5
JUDGED = 400
PASSED = 1.0 / math.e
"""The share of the values that the classical rule lets pass."""
BINS = 2000


def read(said: str) -> Step:
    """How many values are to come, the current one in hundredths, and whether it is the largest so far."""
    values = [float(value) for value in re.findall(r"The current value is ([\d.]+)\.", said)]
    kind = RECORD if values[-1] == max(values) else BELOW
    text = f"left {NUM_VALUES - len(values)}\n{int(values[-1] * HUNDREDTHS)} {kind}"
    return Step(text, choices=(ACCEPT, CONTINUE))


def seen_of(text: str) -> tuple[int, float, bool]:
    """(values to come, the current one, whether it is a record), as `read` told it."""
    _, left, value, kind = text.split()
    return int(left), (int(value) + 0.5) / HUNDREDTHS, kind == RECORD


def rule(text: str, choices: tuple[str, ...]) -> dict[str, float]:
    """The classical rule, which looks at no number: let 1/e of the values pass, and accept the next record."""
    left, _, is_record = seen_of(text)
    passed = NUM_VALUES - left - 1
    return {ACCEPT if is_record and passed >= round(NUM_VALUES * PASSED) else CONTINUE: 1.0}


def optimum(opponent: str, task: Task, seen: Observation) -> str:
    """Accept a record at or above Gilbert and Mosteller's threshold."""
    left, value, is_record = seen_of(seen.text)
    return ACCEPT if is_record and value >= threshold(left) else CONTINUE


@cache
def threshold(left: int) -> float:
    """The smallest record to accept with so many values to come: by bisection."""
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        gain = sum((middle**-j - 1) / j for j in range(1, left + 1))
        low, high = (middle, high) if gain > 1.0 else (low, middle)
    return high if left else 0.0


@cache
def best() -> float:
    """The chance of the optimum to win: by backward induction over the largest value so far, in `BINS` steps."""
    grid = [(i + 0.5) / BINS for i in range(BINS)]
    to_come = [0.0] * BINS  # nothing is left: what was let pass is lost
    for left in range(NUM_VALUES):
        record = [max(value**left, later) for value, later in zip(grid, to_come, strict=True)]
        above, found = 0.0, [0.0] * BINS
        for i in reversed(range(BINS)):
            above += record[i] / BINS
            found[i] = grid[i] * to_come[i] + above - record[i] / (2 * BINS)
        to_come = found
    return to_come[0]


def starts(seed: int, opponent: str) -> Starts:
    """The values come from each game's dice, so that no start can be held out: other dice are."""
    data = {"best": best()}
    return [Task("train", "", data=data)], [Task(f"held-out-{i}", "", data=data) for i in range(JUDGED)]


PLAYERS: dict[str, Odds] = {"rule": rule}
