"""Checks of numeric Config fields. Each error says what was given and what is allowed.

`name` is the field as the command line sets it, such as "algorithm.epochs"; `hint` says what a bound means or what to
use instead. None is allowed only with `none`, which says what it means. NaN is never allowed.
"""

from __future__ import annotations

import math
from collections.abc import Callable


def check_at_least(name: str, value: float | None, least: float, hint: str = "", none: str = "") -> None:
    """At least `least`; infinity is allowed."""
    _check(name, value, lambda number: number >= least, f"is at least {least}", hint, none)


def check_at_most(name: str, value: float, most: int, hint: str = "") -> None:
    """At most `most`: guards sizes held in memory against typing errors."""
    _check(name, value, lambda number: number <= most, f"is at most {most:,}", hint, "")


def check_positive(name: str, value: float | None, hint: str = "", none: str = "") -> None:
    """Finite and above 0."""
    _check(name, value, lambda number: 0.0 < number < math.inf, "is positive and finite", hint, none)


def check_not_negative(name: str, value: float | None, hint: str = "", none: str = "") -> None:
    """Finite, and 0 or above."""
    _check(name, value, lambda number: 0.0 <= number < math.inf, "is 0 or above, and finite", hint, none)


def check_finite(name: str, value: float | None, hint: str = "", none: str = "") -> None:
    """Not infinite."""
    _check(name, value, math.isfinite, "is a finite number", hint, none)


def check_share(name: str, value: float | None, hint: str = "", none: str = "") -> None:
    """In [0, 1]."""
    _check(name, value, lambda number: 0.0 <= number <= 1.0, "lies in [0, 1]", hint, none)


def check_positive_share(name: str, value: float | None, hint: str = "", none: str = "") -> None:
    """In (0, 1]."""
    _check(name, value, lambda number: 0.0 < number <= 1.0, "lies in (0, 1]", hint, none)


def check_below(name: str, value: float | None, end: float, hint: str = "", none: str = "") -> None:
    """0 or above, and less than `end`."""
    _check(name, value, lambda number: 0.0 <= number < end, f"lies in [0, {end:g})", hint, none)


def _check(
    name: str, value: float | None, is_allowed: Callable[[float], bool], allowed: str, hint: str, none: str
) -> None:
    if value is None and none:
        return
    if value is None or not is_allowed(value):
        notes = [allowed, hint, f"none {none}" if none else ""]
        raise ValueError(f"{name}={value}: it {'; '.join(note for note in notes if note)}.")
