"""Numbers: which values of user code count as one, exact sums, and how they are shown."""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Decimal
from numbers import Real
from typing import Any, Protocol, runtime_checkable

MANY = 1e7
"""Numbers from this size on are shown with an exponent."""


@runtime_checkable
class _Array(Protocol):
    """An array of numpy, torch or another library."""

    @property
    def shape(self) -> Any: ...
    def item(self) -> Any: ...


def as_number(value: object) -> float | None:
    """A Python or numpy number, a Decimal, a bool, or an array without dimensions as a float; None for anything else.

    A list of one number is not a number. A number too large for a float is infinite.
    """
    if isinstance(value, Real | Decimal):
        try:
            return float(value)
        except OverflowError:
            return math.inf if value > 0 else -math.inf  # type: ignore[operator]
        except ValueError:  # Decimal's signalling NaN
            return math.nan
    if isinstance(value, _Array) and value.shape == ():
        return as_number(value.item())
    return None


def total(numbers: Sequence[float]) -> float:
    """The exactly rounded sum; infinite if it is too large for a float."""
    try:
        return math.fsum(numbers)
    except OverflowError:
        return sum(numbers)


def digits_of(size: float) -> int:
    """How many decimals are worth showing for a number of this size."""
    return next((digits for digits, end in ((3, 10), (2, 100), (1, 1000)) if abs(size) < end), 0)


def decimals(value: float, digits: int = 3, sign: str = "") -> str:
    """`1.250`, or `1.25e+300` for a large number. `sign` may be "+"."""
    if abs(value) >= MANY:
        return f"{value:{sign}.3g}"
    return f"{round(value, digits) + 0.0:{sign}.{digits}f}"  # + 0.0: no -0.000
