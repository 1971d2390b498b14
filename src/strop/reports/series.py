"""The metrics of runs by step, as lines to draw. Runs that differ only in their seed are one line.

Only the runs' files are read, so that drawing loads no torch. Training step k and the judgement after k steps have the
same x: both are of the policy after k steps.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from strop.intervals import Interval
from strop.reports.judgement import intervals_of
from strop.runs.directory import RunDirectory

NO_STAGES: Mapping[Path, int] = MappingProxyType({})
SEED = re.compile(r"seed[-_=. ]?\d+")
NUMBERED = re.compile(r"[-_=., ]*(seed)?[-_=., ]*\d*$")


@dataclass(frozen=True, slots=True)
class Point:
    """A value, and its interval over prompts or its range over seeds; NaN where unknown."""

    value: float
    low: float = math.nan
    high: float = math.nan


Series = Mapping[int, Point]  # by step


@dataclass(frozen=True, slots=True)
class Line:
    """The series of one run by metric, or the means of runs with different seeds.

    `tails` are then the series of single seeds, from where the shortest seed ends.
    """

    label: str
    num_seeds: int
    series: Mapping[str, Series]
    tails: Sequence[Mapping[str, Series]] = ()

    @property
    def last(self) -> int:
        """The last step of any of them."""
        every = (step for one in (self.series, *self.tails) for series in one.values() for step in series)
        return max(every, default=0)


def lines(runs: Sequence[RunDirectory], names: Sequence[str], starts: Mapping[Path, int] = NO_STAGES) -> list[Line]:
    """These metrics of the runs, in their order. `starts` are the steps at which stages begin, by their folders."""
    groups = _same_but_for_seed(runs, starts)
    labels = _labels(groups)
    return [
        _line(label, [_read(run, names, starts.get(run.path, 0)) for run in group])
        for label, group in zip(labels, groups, strict=True)
    ]


def _line(label: str, seeds: Sequence[Mapping[str, Series]]) -> Line:
    if len(seeds) == 1:
        return Line(label, 1, seeds[0])
    means = {name: _mean([one[name] for one in seeds if name in one]) for one in seeds for name in one}
    tails = [{name: _tail(means[name], series) for name, series in one.items()} for one in seeds]
    tails = [{name: rest for name, rest in one.items() if rest} for one in tails]
    return Line(f"{label}, {len(seeds)} seeds", len(seeds), means, [one for one in tails if one])


def _mean(seeds: Sequence[Series]) -> Series:
    """The means over seeds, at the steps that all of them have."""
    shared = sorted(set.intersection(*(set(one) for one in seeds)))
    return {step: _over_seeds([one[step].value for one in seeds]) for step in shared}


def _tail(mean: Series, series: Series) -> Series:
    """The points from the last mean on; empty if the series ends there."""
    last = max(mean, default=0)
    rest = {step: Point(point.value) for step, point in series.items() if step >= last}
    return rest if max(rest, default=last) > last else {}


def _over_seeds(values: Sequence[float]) -> Point:
    """The mean, with the lowest and the highest value."""
    known = [value for value in values if not math.isnan(value)]
    return Point(math.fsum(known) / len(known), min(known), max(known)) if known else Point(math.nan)


def _same_but_for_seed(runs: Sequence[RunDirectory], starts: Mapping[Path, int]) -> list[list[RunDirectory]]:
    """Group the runs that differ only in their seed; a run that repeats a seed starts another group."""
    groups: dict[tuple[str, int], list[RunDirectory]] = {}
    seen: dict[tuple[str, str], int] = {}
    for run in runs:
        config = run.config()
        seed = str(config.pop("seed", ""))
        same = json.dumps([starts.get(run.path, 0), config], sort_keys=True)
        again = seen[same, seed] = seen.get((same, seed), -1) + 1
        groups.setdefault((same, again), []).append(run)
    return list(groups.values())


def _labels(groups: Sequence[Sequence[RunDirectory]]) -> list[str]:
    """A name for each line: the shortest kind of name that is unique."""
    labels: list[str] = []
    for kind in (_short, _with_folder, _in_full):
        labels = [kind([run.path.absolute() for run in group]) for group in groups]
        if len(set(labels)) == len(labels):
            break
    return labels


def _short(paths: Sequence[Path]) -> str:
    """`runs/copy-0` and `runs/copy-1` are "copy"; in a sweep `seed-0_lr-1` and `seed-1_lr-1` are "lr-1", and `seed-0`
    and `seed-1` are the sweep."""
    if len(paths) == 1:
        return paths[0].name
    unseeded = {SEED.sub("", path.name).strip("-_=., ") for path in paths}
    if len(unseeded) == 1 and (name := unseeded.pop()):
        return name
    beginning = os.path.commonprefix([path.name for path in paths])  # noqa: RUF071 (letters are meant)
    return NUMBERED.sub("", beginning) or paths[0].parent.name


def _with_folder(paths: Sequence[Path]) -> str:
    return f"{paths[0].parent.name}/{_short(paths)}"


def _in_full(paths: Sequence[Path]) -> str:
    return ", ".join(str(path) for path in paths)


def _read(run: RunDirectory, names: Sequence[str], start: int) -> dict[str, Series]:
    with run.reader() as store:
        found = {name: store.series(name) for name in names}
        intervals = intervals_of(run, store)
    return {
        name: {start + step: _point(value, intervals.get(name, {}).get(step)) for step, value in points}
        for name, points in found.items()
        if any(math.isfinite(value) for _, value in points)
    }


def _point(value: float, spread: Interval | None) -> Point:
    if not math.isfinite(value):
        return Point(math.nan)
    return Point(value) if spread is None else Point(value, spread.low, spread.high)
