"""The checks of `strop verify`: how they are found, how they are run, and their results.

One file of this folder holds the checks of one family of methods. They are plain functions, found by their names:

    check_NAME() -> Gap, or an iterator of them     exact, or sampled with known odds; quick
    learn_NAME(seed) -> Gap                         a learning run: how far one seed ends from the known optimum

The first line of such a function's docstring is its row: "METHOD: what it must equal". Files without such functions
hold shared helpers.
"""

from __future__ import annotations

import difflib
import importlib
import math
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from strop import loader

QUICK, LEARNING = "check_", "learn_"
SEEDS = 5


@dataclass(frozen=True, slots=True)
class Gap:
    """A measured distance from what must be equal, and its tolerance; `case` names one of several gaps of a check."""

    value: float
    tolerance: float
    case: str = ""


@dataclass(frozen=True, slots=True)
class Result:
    """One row of the table. If the check raised, `gap` is NaN and `error` holds the traceback.

    Of a learning run `gap` is the mean over the seeds, `low` and `high` are the smallest and the largest.
    """

    method: str
    must_equal: str
    gap: float
    tolerance: float
    seconds: float
    low: float | None = None
    high: float | None = None
    error: str = ""

    @property
    def verdict(self) -> str:
        """ "pass" or "FAILED". A NaN gap fails; a learning run passes if its worst seed does."""
        return "pass" if (self.gap if self.high is None else self.high) <= self.tolerance else "FAILED"


@dataclass(frozen=True, slots=True)
class Check:
    """A check that was found: its module and function, and the text of its row."""

    family: str
    module: str
    function: str
    method: str
    must_equal: str

    @property
    def is_learning(self) -> bool:
        """Whether it is a learning run, which takes a seed."""
        return self.function.startswith(LEARNING)

    def load(self) -> Callable[..., Any]:
        """Import the function."""
        found: Callable[..., Any] = getattr(importlib.import_module(self.module), self.function)
        return found


def find(full: bool = False, names: Sequence[str] = ()) -> list[Check]:
    """The checks of this folder, method by method: with `full` the learning runs too, with `names` only those named.

    Nothing is imported. A name is a method or a family; case and punctuation do not matter ("drgrpo" is Dr. GRPO). If
    none has that name, methods that contain it match. Raises ValueError for a name that matches nothing.
    """
    found = sorted(_all(), key=lambda one: one.method.casefold())
    found = [one for one in found if full or not one.is_learning]
    if not names:
        return found
    wanted = {(one.module, one.function) for name in names for one in _named(name, found)}
    return [one for one in found if (one.module, one.function) in wanted]


def measure(check: Check) -> Iterator[Result]:
    """The rows of one check. An exception becomes a failed row: the check's code is what is under test."""
    if check.is_learning:
        yield _learn(check)
        return
    start = time.perf_counter()
    try:
        found = check.load()()
        for gap in [found] if isinstance(found, Gap) else found:
            stop = time.perf_counter()
            yield _row(check, gap, stop - start)
            start = stop
    except Exception:
        yield _failed(check, time.perf_counter() - start)


def _learn(check: Check) -> Result:
    start = time.perf_counter()
    try:
        gaps = [check.load()(seed) for seed in range(SEEDS)]
        values = [gap.value for gap in gaps]
        if any(map(math.isnan, values)):
            raise ArithmeticError(f"the gaps of {SEEDS} seeds: {values}")
    except Exception:
        return _failed(check, time.perf_counter() - start)
    seconds = time.perf_counter() - start
    must_equal = f"{check.must_equal} ({SEEDS} seeds)"
    mean = math.fsum(values) / SEEDS
    return Result(check.method, must_equal, mean, gaps[0].tolerance, seconds, min(values), max(values))


def _row(check: Check, gap: Gap, seconds: float) -> Result:
    must_equal = f"{check.must_equal}: {gap.case}" if gap.case else check.must_equal
    return Result(check.method, must_equal, gap.value, gap.tolerance, seconds)


def _failed(check: Check, seconds: float) -> Result:
    return Result(check.method, check.must_equal, math.nan, math.nan, seconds, error=traceback.format_exc())


def _all() -> Iterator[Check]:
    for module in loader.modules("verify"):
        for function in module.functions:
            if function.startswith((QUICK, LEARNING)):
                method, colon, must_equal = module.summaries[function].rstrip(".").partition(": ")
                assert colon, f"{module.place}.{function}: its documentation must begin 'METHOD: what it must equal'"
                yield Check(module.name, module.place, function, method, must_equal)


def _named(name: str, found: Sequence[Check]) -> list[Check]:
    plain = _plain(name)
    exact = [one for one in found if plain in (_plain(one.method), _plain(one.family))]
    if exact:
        return exact
    part = [one for one in found if plain and plain in _plain(one.method)]
    if part:
        return part
    methods = list(dict.fromkeys(one.method for one in found))
    near = difflib.get_close_matches(name, methods, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]}?" if near else f"the methods are {', '.join(methods)}."
    raise ValueError(f"no check is for {name!r}; {hint}")


def _plain(name: str) -> str:
    """Letters and digits only; a plus is a letter, since it tells REINFORCE++ from REINFORCE."""
    name = name.replace("+", "plus")
    return "".join(letter for letter in name.casefold() if letter.isalnum())
