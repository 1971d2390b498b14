"""What runs measured, step by step: the lines of a picture. Runs that differ in nothing but their seed are one line.

Reads the runs' files alone, so that drawing loads no torch. Training step k and the judgement after k steps stand at
the same place: both tell of the policy that k steps have made.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from strop.intervals import Interval
from strop.reports.judgement import intervals_of
from strop.runs.directory import RunDirectory

SEED = re.compile(r"seed[-_=. ]?\d+")
NUMBERED = re.compile(r"[-_=., ]*(seed)?[-_=., ]*\d*$")


@dataclass(frozen=True, slots=True)
class Point:
    """A number and how far it may be off: over prompts, or over seeds. NaN where that is not known."""

    value: float
    low: float = math.nan
    high: float = math.nan


Series = Mapping[int, Point]  # by step


@dataclass(frozen=True, slots=True)
class Line:
    """The series of one run by metric, or the means of runs with different seeds.

    `alone` are then what single seeds have from where another ends.
    """

    label: str
    num_seeds: int
    series: Mapping[str, Series]
    alone: Sequence[Mapping[str, Series]] = ()

    @property
    def last(self) -> int:
        """The last step of any of them."""
        every = (step for one in (self.series, *self.alone) for series in one.values() for step in series)
        return max(every, default=0)


def lines(runs: Sequence[RunDirectory], names: Sequence[str]) -> list[Line]:
    """These metrics of the runs, in their order."""
    groups = _same_but_for_seed(runs)
    labels = _labels(groups)
    return [_line(label, [_read(run, names) for run in group]) for label, group in zip(labels, groups, strict=True)]


def _line(label: str, seeds: Sequence[Mapping[str, Series]]) -> Line:
    if len(seeds) == 1:
        return Line(label, 1, seeds[0])
    means = {name: _mean([one[name] for one in seeds if name in one]) for one in seeds for name in one}
    alone = [{name: _after(means[name], series) for name, series in one.items()} for one in seeds]
    alone = [{name: rest for name, rest in one.items() if rest} for one in alone]
    return Line(f"{label}, {len(seeds)} seeds", len(seeds), means, [one for one in alone if one])


def _mean(seeds: Sequence[Series]) -> Series:
    """Over the steps that all of them have."""
    shared = sorted(set.intersection(*(set(one) for one in seeds)))
    return {step: _over_seeds([one[step].value for one in seeds]) for step in shared}


def _after(mean: Series, series: Series) -> Series:
    """What comes after the last mean, joined to it; nothing where nothing comes."""
    last = max(mean, default=0)
    rest = {step: Point(point.value) for step, point in series.items() if step >= last}
    return rest if max(rest, default=last) > last else {}


def _over_seeds(values: Sequence[float]) -> Point:
    """The mean, from the lowest to the highest."""
    known = [value for value in values if not math.isnan(value)]
    return Point(math.fsum(known) / len(known), min(known), max(known)) if known else Point(math.nan)


def _same_but_for_seed(runs: Sequence[RunDirectory]) -> list[list[RunDirectory]]:
    """Runs of one config and different seeds together; a seed that comes again is a run of its own."""
    groups: dict[tuple[str, int], list[RunDirectory]] = {}
    seen: dict[tuple[str, str], int] = {}
    for run in runs:
        config = run.config()
        seed = str(config.pop("seed", ""))
        same = json.dumps(config, sort_keys=True)
        again = seen[same, seed] = seen.get((same, seed), -1) + 1
        groups.setdefault((same, again), []).append(run)
    return list(groups.values())


def _labels(groups: Sequence[Sequence[RunDirectory]]) -> list[str]:
    """A name a line: the shortest kind of name that tells all lines apart."""
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


def _read(run: RunDirectory, names: Sequence[str]) -> dict[str, Series]:
    with run.reader() as store:
        found = {name: store.series(name) for name in names}
        intervals = intervals_of(run, store)
    return {
        name: {step: _point(value, intervals.get(name, {}).get(step)) for step, value in points}
        for name, points in found.items()
        if any(math.isfinite(value) for _, value in points)
    }


def _point(value: float, spread: Interval | None) -> Point:
    if not math.isfinite(value):
        return Point(math.nan)
    return Point(value) if spread is None else Point(value, spread.low, spread.high)
