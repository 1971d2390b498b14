"""Limits of a mean that hold at every moment at once: looking often, and stopping at will, costs nothing.

Whoever believes that the mean of numbers in [0, 1] is m may be asked to take bets at fair odds: of each number X a
gambler stakes a share g of the wealth on "more than m", and the wealth is multiplied by 1 - g + g * X / m. If the mean
is m or less, the wealth is a nonnegative supermartingale, and it ever reaches 1/alpha with probability alpha at most
(Ville). So all m at which it does are too small:

    wealth(m) = mean over g of prod_i (1 - g + g * X_i / m)      lower limit = the largest m with wealth(m) >= 1/alpha

Waudby-Smith and Ramdas 2024 (JRSS B 86, 1-27; 2010.09686): confidence sequences by betting, here with the wealth spread
over a grid of constant shares, as in their grid Kelly; both limits together are their hedged capital. The shares are
the nodes of the arcsine law, the universal portfolio of Cover and Ordentlich 1996 (IEEE IT 42, 348-363), whose limits
are within a constant of the best in hindsight (Orabona and Jun 2024, IEEE IT 70, 436-455; 2110.14099).

The limits depend on the numbers and not on their order. They hold for numbers whose mean, given those before, is the
same; they need no independence, no variance and no normal distribution.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

Numbers: TypeAlias = "Sequence[float] | np.ndarray"

NUM_SHARES = 64
"""Any grid gives valid limits; a finer one gives no better ones for a few thousand numbers."""
SHARES_G = np.sin((np.arange(NUM_SHARES) + 0.5) * np.pi / (2 * NUM_SHARES)) ** 2
"""Their mean is 1/2, and that of their squares 3/8."""
HALVINGS = 30


def log_wealth(values: Numbers, mean: float) -> float:
    """The logarithm of what the gambler has after these numbers, who began with 1 and bet on more than `mean`.

    `values` are in [0, 1], and 0 < mean <= 1.
    """
    return _log_wealth(*np.unique(np.asarray(values, dtype=float), return_counts=True), mean)


def lower_limit(values: Numbers, alpha: float) -> float:
    """The limit that the mean of numbers in [0, 1] is below with probability `alpha` at most, at all moments together.

    Raises ValueError for numbers outside [0, 1].
    """
    values_N = np.asarray(values, dtype=float)
    if not ((values_N >= 0.0) & (values_N <= 1.0)).all():
        raise ValueError("a limit by betting is of numbers from 0 to 1, and there is another one.")
    if not 0.0 < alpha < 1.0:
        raise ValueError(f"alpha={alpha}: it is a probability between 0 and 1.")
    needed = -math.log(alpha)
    distinct_U, count_U = np.unique(values_N, return_counts=True)
    low, high = 0.0, 1.0  # the wealth falls with m
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if _log_wealth(distinct_U, count_U, middle) >= needed else (low, middle)
    return low


def anytime_limits(values: Numbers, alpha: float = 0.05) -> tuple[float, float]:
    """Both limits of the mean of numbers in [0, 1]: outside with probability `alpha` at most, at all moments
    together."""
    values_N = np.asarray(values, dtype=float)
    return lower_limit(values_N, alpha / 2), 1.0 - lower_limit(1.0 - values_N, alpha / 2)


def anytime_change(before: Numbers, after: Numbers, alpha: float = 0.05) -> tuple[float, float]:
    """Both limits of the mean change of scores in [0, 1], paired: `after` minus `before`."""
    before_N, after_N = np.asarray(before, dtype=float), np.asarray(after, dtype=float)
    if before_N.shape != after_N.shape:
        raise ValueError(f"{len(before_N)} scores before and {len(after_N)} after: they are of the same items.")
    low, high = anytime_limits((after_N - before_N + 1.0) / 2.0, alpha)
    return 2.0 * low - 1.0, 2.0 * high - 1.0


def _log_wealth(distinct_U: np.ndarray, count_U: np.ndarray, mean: float) -> float:
    """The same of different numbers and how often each came."""
    logs_G = count_U @ np.log1p(SHARES_G * (distinct_U[:, None] / mean - 1.0))
    highest = logs_G.max()
    return float(highest + np.log(np.exp(logs_G - highest).mean()))
