"""The frame of `strop verify`: what a check measures, which checks there are, and how they are run.

A family of methods is one file of this folder. It holds plain functions, and they are found by their names:

    check_NAME() -> Gap, or an iterator of them     exact, or sampled with known odds; quick
    learn_NAME(seed) -> Gap                         a learning run: how far from the known optimum one seed ends

The first line of a function's documentation is its row: "METHOD: what it must equal". A file without such functions
holds what the others share.
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
    """How far something is from what it must equal, and how far it may be; `case` tells several of one check apart."""

    value: float
    tolerance: float
    case: str = ""


@dataclass(frozen=True, slots=True)
class Check:
    """One row. `gap` is NaN where nothing could be measured, and `error` is then the traceback.

    A learning run has the mean gap over its seeds, and in `low` and `high` the smallest and the largest.
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
        """ "pass", or "FAILED": also where the gap is NaN. Seeds pass if the worst of them does."""
        return "pass" if (self.gap if self.high is None else self.high) <= self.tolerance else "FAILED"


@dataclass(frozen=True, slots=True)
class Planned:
    """A check that was found and has not run: where its function stands, and what its row will say."""

    family: str
    place: str
    function: str
    method: str
    must_equal: str

    @property
    def is_learning(self) -> bool:
        """Whether it takes a seed and learns."""
        return self.function.startswith(LEARNING)

    def load(self) -> Callable[..., Any]:
        """Import the function."""
        found: Callable[..., Any] = getattr(importlib.import_module(self.place), self.function)
        return found


def plan(full: bool = False, names: Sequence[str] = ()) -> list[Planned]:
    """The checks of this folder, method by method: with `full` the learning runs too, with `names` only those named.

    Nothing is imported. A name is a method's or a family's, in any case and without its signs ("drgrpo" is Dr. GRPO);
    where none is called so, part of one will do. Raises ValueError for a name that fits nothing.
    """
    found = sorted(_found(), key=lambda one: one.method.casefold())
    found = [one for one in found if full or not one.is_learning]
    if not names:
        return found
    wanted = {(one.place, one.function) for name in names for one in _named(name, found)}
    return [one for one in found if (one.place, one.function) in wanted]


def run(planned: Planned) -> Iterator[Check]:
    """The rows of one check. Whatever it raises becomes a failed row: it is the thing under test."""
    if planned.is_learning:
        yield _learn(planned)
        return
    start = time.perf_counter()
    try:
        found = planned.load()()
        for gap in [found] if isinstance(found, Gap) else found:
            stop = time.perf_counter()
            yield _row(planned, gap, stop - start)
            start = stop
    except Exception:
        yield _failed(planned, time.perf_counter() - start)


def _learn(planned: Planned) -> Check:
    start = time.perf_counter()
    try:
        gaps = [planned.load()(seed) for seed in range(SEEDS)]
        values = [gap.value for gap in gaps]
        if any(map(math.isnan, values)):
            raise ArithmeticError(f"the gaps of {SEEDS} seeds: {values}")
    except Exception:
        return _failed(planned, time.perf_counter() - start)
    seconds = time.perf_counter() - start
    must_equal = f"{planned.must_equal} ({SEEDS} seeds)"
    mean = math.fsum(values) / SEEDS
    return Check(planned.method, must_equal, mean, gaps[0].tolerance, seconds, min(values), max(values))


def _row(planned: Planned, gap: Gap, seconds: float) -> Check:
    must_equal = f"{planned.must_equal}: {gap.case}" if gap.case else planned.must_equal
    return Check(planned.method, must_equal, gap.value, gap.tolerance, seconds)


def _failed(planned: Planned, seconds: float) -> Check:
    return Check(planned.method, planned.must_equal, math.nan, math.nan, seconds, error=traceback.format_exc())


def _found() -> Iterator[Planned]:
    for module in loader.modules("verify"):
        for function in module.functions:
            if function.startswith((QUICK, LEARNING)):
                method, colon, must_equal = module.summaries[function].rstrip(".").partition(": ")
                assert colon, f"{module.place}.{function}: its documentation must begin 'METHOD: what it must equal'"
                yield Planned(module.name, module.place, function, method, must_equal)


def _named(name: str, found: Sequence[Planned]) -> list[Planned]:
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
