"""A reward out of another one: its numbers clipped, or moved to another scale.

The constants are fixed. A mean that follows the run would make a reward depend on what was scored before it: the same
answer would get another number after a resume, or in an evaluation. What compares the answers of a group divides by
their spread itself: GRPO, and GDPO for each reward.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from strop.functional.bounds import check_finite
from strop.rewards.group import GroupReward
from strop.types import Episode, PerToken, PerTurn, Task, Unscored, as_number, check_fields


@dataclass(frozen=True, slots=True)
class Clipped:
    """The reward, but at least `low` and at most `high`: one odd answer then moves its group no further. NaN stays NaN.

    Of a function that scores a group it clips each number: `GroupReward(Clipped(Learned(score=...), -3, 3))`. Unscored
    stays Unscored. Cheated by: what cheats the reward.
    """

    reward: Callable[..., Any]
    low: float = 0.0
    high: float = 1.0

    def __post_init__(self) -> None:
        check_fields(self)
        _refuse_outside(self, self.reward)
        if not self.low < self.high:
            raise ValueError(f"Clipped(low={self.low:g}, high={self.high:g}): low is less than high.")

    def __call__(self, task: Task, given: Any) -> Any:
        return _changed(self.reward(task, given), given, self._clipped)

    def _clipped(self, number: float) -> float:
        return min(max(number, self.low), self.high)  # in this order NaN stays: it stops a run


@dataclass(frozen=True, slots=True)
class Scaled:
    """The reward on a scale where `worst` is 0 and `best` is 1, linear and not clipped.

    So rewards of different units can be weighed against each other. `worst` may be the larger number: nats, mistakes,
    seconds. What numbers occur is shown by `strop score RECIPE`. Of a function that scores a group it changes each
    number: `GroupReward(Scaled(...))`. Unscored stays Unscored. Cheated by: what cheats the reward.
    """

    reward: Callable[..., Any]
    worst: float
    best: float

    def __post_init__(self) -> None:
        check_fields(self)
        _refuse_outside(self, self.reward)
        check_finite("Scaled.worst", self.worst)
        check_finite("Scaled.best", self.best)
        if self.worst == self.best:
            raise ValueError(f"Scaled(worst={self.worst:g}, best={self.best:g}): two different numbers are needed.")

    def __call__(self, task: Task, given: Any) -> Any:
        return _changed(
            self.reward(task, given), given, lambda number: (number - self.worst) / (self.best - self.worst)
        )


def _refuse_outside(outer: Clipped | Scaled, reward: object) -> None:
    """`GroupReward` marks what a run calls, so it stands outside."""
    if isinstance(reward, GroupReward):
        name = type(outer).__name__
        raise ValueError(f"{name}(GroupReward(...)): write it the other way round, GroupReward({name}(...)).")


def _changed(outcome: Any, given: Episode | Sequence[Episode], change: Callable[[float], float]) -> Any:
    """The outcome of an episode, or the outcomes of a group, with its numbers changed."""
    if isinstance(given, Episode):
        return _one(outcome, change)
    return [_one(one, change) for one in outcome]


def _one(outcome: Any, change: Callable[[float], float]) -> Any:
    """What is no number is left to the rollout, which says what is wrong with it."""
    if isinstance(outcome, PerTurn | PerToken):
        return Unscored(
            f"a reward with a number for each part ({type(outcome).__name__}) is neither clipped nor scaled"
        )
    number = None if isinstance(outcome, Unscored) else as_number(outcome)
    return outcome if number is None else change(number)
