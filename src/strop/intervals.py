"""95 % confidence intervals of means.

Right-or-wrong scores: Blaker's exact limits of a proportion (2000, Canadian Journal of Statistics 28, 783-798). Their
change over the same prompts: MOVER, combined from two of those (Newcombe 1998, Statistics in Medicine 17, 2635-2650,
method 10; Zou and Donner 2008, same journal, 27, 1693-1702). Other scores: Student's t. Reasons and coverage:
docs/decisions/0015-intervals.md.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np

from strop.types import decimals, digits_of

METHOD = "95 % intervals: Blaker's and MOVER for right-or-wrong scores, else Student's t"
ALPHA = 0.05
A_LITTLE = 0.1
"""Added to gains and losses before computing their correlation, which would be 0 if one of them is 0."""
ROUNDING = 1e-9
"""Scores closer than this share of the largest count as equal, because weighted sums are rounded."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean and its 95 % interval. If the spread is unknown, the limits are NaN, and `reason` says why."""

    mean: float
    low: float
    high: float
    reason: str = ""

    def __str__(self) -> str:
        return format(self)

    def __format__(self, sign: str) -> str:
        """`sign` may be "+", for a difference. The number of decimals depends on size and width."""
        if math.isnan(self.mean):
            return f"({self.reason})"
        if self.reason:
            return f"{decimals(self.mean, digits_of(self.mean), sign)} (no interval: {self.reason})"
        digits = max(digits_of(max(abs(self.low), abs(self.high))), _decimals_apart(self.high - self.low))
        mean, low, high = (decimals(value, digits, sign) for value in (self.mean, self.low, self.high))
        return f"{mean} [{low}, {high}]"


def proportion(successes: int, n: int) -> tuple[float, float]:
    """Blaker's limits of the probability of a success."""
    return _blaker_low(successes, n), 1.0 - _blaker_low(n - successes, n)


def change_of_proportion(gains: int, losses: int, n: int) -> tuple[float, float]:
    """Limits of the change of a proportion: of n prompts, `gains` became a success and `losses` ceased to be one."""
    return _change_low(gains, losses, n), -_change_low(losses, gains, n)


def mean_interval(values: np.ndarray, what: str, scores: np.ndarray) -> Interval:
    """The mean with Student's t limits, or the reason why there are none. `what` is the noun for a value.

    `scores` are what the values were computed from: a difference of large scores has their rounding error.
    """
    if not len(values):
        return Interval(math.nan, math.nan, math.nan, "nothing was scored")
    mean = float(values.mean())
    if len(values) == 1:
        return Interval(mean, math.nan, math.nan, f"a single {what}")
    if np.ptp(values) <= ROUNDING * np.abs(scores).max():
        all_of = "both" if len(values) == 2 else f"all {len(values)}"
        return Interval(mean, math.nan, math.nan, f"{all_of} {what}s are equal")
    return Interval(mean, *student(values))


def student(values: np.ndarray) -> tuple[float, float]:
    """Student's t limits of the mean of at least two values."""
    with np.errstate(over="ignore"):  # the square of 1e300 is infinite, and so are the limits
        half = student_quantile(len(values) - 1) * float(np.std(values, ddof=1)) / math.sqrt(len(values))
    mean = float(np.mean(values))
    return mean - half, mean + half


@cache
def student_quantile(freedom: int) -> float:
    """The 0.95 quantile of |t| with this many degrees of freedom."""
    angle = _first(lambda theta: _share_within(theta, freedom) >= 1 - ALPHA, 0.0, math.pi / 2)
    return math.sqrt(freedom) * math.tan(angle)


def _share_within(theta: float, freedom: int) -> float:
    """P(|t| < sqrt(freedom) tan(theta)), a finite sum (Abramowitz and Stegun, 26.7.3 and 26.7.4)."""
    odd = freedom % 2
    j = np.arange(1, (freedom - 2) // 2 + 1)
    series = 1.0 + float(np.cumprod((2 * j - 1 + odd) / (2 * j + odd) * math.cos(theta) ** 2).sum())
    if not odd:
        return math.sin(theta) * series
    return (theta + (freedom > 1) * math.sin(theta) * math.cos(theta) * series) * 2 / math.pi


@cache
def _blaker_low(successes: int, n: int) -> float:
    """The smallest accepted p: P(X >= successes) plus the largest lower tail that is no likelier exceeds ALPHA.

    Below Clopper and Pearson's limit no p is, as the other tail adds at most as much again. From there on the other
    tail has `k` values until it takes in one more, where the sum jumps to twice P(X >= successes), above ALPHA. Up to
    that jump the sum falls and then rises, so it crosses ALPHA once.
    """
    if successes == 0:
        return 0.0
    middle = successes / n
    start = _first(lambda p: 2 * _tails(successes, n, p)[0] >= ALPHA, 0.0, middle)
    k = int((_tails(successes, n, start)[1] <= ALPHA / 2).sum())

    def is_accepted(p: float) -> bool:
        upper, at_most = _tails(successes, n, p)
        return bool(at_most[k] <= upper or upper + (at_most[k - 1] if k else 0.0) > ALPHA)

    return _first(is_accepted, start, middle)


def _tails(successes: int, n: int, p: float) -> tuple[float, np.ndarray]:
    """P(X >= successes), and P(X <= k) for every k, of a binomial X."""
    k = np.arange(n + 1)
    mass = np.exp(_log_choose(n) + k * math.log(p) + (n - k) * math.log1p(-p))
    return float(mass[successes:].sum()), np.cumsum(mass)


@cache
def _log_choose(n: int) -> np.ndarray:
    logs: np.ndarray = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, n + 1)))])
    chosen: np.ndarray = logs[n] - logs - logs[::-1]
    return chosen


def _change_low(gains: int, losses: int, n: int) -> float:
    """MOVER: the estimate minus the distances of gains to their lower and of losses to their upper limit, combined as
    correlated errors."""
    down = gains / n - proportion(gains, n)[0]
    up = proportion(losses, n)[1] - losses / n
    variance = down**2 + up**2 - 2 * _correlation(gains, losses, n) * down * up
    return max(-1.0, (gains - losses) / n - math.sqrt(variance))


def _correlation(gains: int, losses: int, n: int) -> float:
    """The correlation of gains and losses: negative, as a prompt cannot be both."""
    a, b, unchanged = gains + A_LITTLE, losses + A_LITTLE, n - gains - losses
    return -math.sqrt(a * b / ((b + unchanged) * (a + unchanged)))


def _first(holds: Callable[[float], bool], low: float, high: float) -> float:
    """The smallest number from which `holds` is true, by bisection; it is false at `low` and true at `high`."""
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high


def _decimals_apart(width: float) -> int:
    """Enough decimals to distinguish the limits of an interval."""
    return 1 - math.floor(math.log10(width)) if 0 < width < 0.01 else 0
