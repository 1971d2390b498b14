"""Numbers that change with the step, for `Sampling.temperature`, `Sampling.epsilon` and other fields of type Schedule.

They are frozen records without state, so config.json holds them, and a resume gets the same numbers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from strop.types import check_fields

__all__ = ["Exponential", "Linear"]


def __dir__() -> list[str]:
    return __all__


@dataclass(frozen=True, slots=True, kw_only=True)
class Linear:
    """A straight line from `start` at step 0 to `end` at step `steps`, then constant.

    start  the number at step 0
    end    the number at step `steps`
    steps  number of steps from start to end
    """

    start: float
    end: float
    steps: int

    def __post_init__(self) -> None:
        check_fields(self)
        _check_ends(self.start, self.end)
        if not self.steps >= 1:
            raise ValueError(f"Linear.steps={self.steps}: it takes at least 1 step from start to end.")

    def __call__(self, step: int) -> float:
        share = min(step / self.steps, 1.0)
        return (1.0 - share) * self.start + share * self.end


@dataclass(frozen=True, slots=True, kw_only=True)
class Exponential:
    """`start * factor^step`, never beyond `end`.

    start   the number at step 0
    end     the limit where it stays
    factor  applied at each step; below 1 the number falls
    """

    start: float
    end: float
    factor: float

    def __post_init__(self) -> None:
        check_fields(self)
        _check_ends(self.start, self.end)
        if not 0.0 < self.factor < math.inf:
            raise ValueError(f"Exponential.factor={self.factor}: it is positive and finite; below 1 the number falls.")

    def __call__(self, step: int) -> float:
        bound = max if self.factor <= 1.0 else min
        return bound(self.start * self.factor**step, self.end)


def _check_ends(start: float, end: float) -> None:
    if not math.isfinite(start) or not math.isfinite(end):
        raise ValueError(f"a schedule goes from start={start} to end={end}: both are finite numbers.")
