"""The results of a sweep: its runs, and means over seeds with intervals."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from strop.intervals import Interval, mean_interval
from strop.runs.directory import RunDirectory, is_run
from strop.runs.standing import SCORES, UNREADABLE, Standing, standing
from strop.runs.sweep import SEED, Sweep


@dataclass(frozen=True, slots=True)
class Gain:
    """A held-out score before and after, and the difference of each run."""

    before: Interval
    after: Interval
    difference: Interval


@dataclass(frozen=True, slots=True)
class Result:
    """One run of a sweep, or one stage. `standing` is None where there is no run yet."""

    name: str
    run: str
    values: Mapping[str, str]
    standing: Standing | None
    error: str = ""

    @property
    def is_complete(self) -> bool:
        """Whether nothing is left to do."""
        return self.standing is not None and self.standing.is_complete


@dataclass(frozen=True, slots=True)
class Combination:
    """The finished runs that differ in their seed alone; `steps` and `seconds` are means."""

    values: Mapping[str, str]
    runs: int
    steps: int
    seconds: float
    scores: Mapping[str, Gain] = field(default_factory=dict)


def results(sweep: Sweep, directory: Path, errors: Mapping[str, str]) -> list[Result]:
    """Each run of a sweep. `errors` has the reasons of those that have just failed."""
    return [
        result_of(member.name, directory / member.name, member.values, errors.get(member.name, ""))
        for member in sweep.members()
    ]


def begun_runs(sweep: Sweep, directory: Path) -> list[RunDirectory]:
    """The runs that have finished a step, which can be drawn."""
    found = results(sweep, directory, {})
    return [RunDirectory(Path(one.run)) for one in found if one.standing is not None and one.standing.done]


def combinations(found: Sequence[Result]) -> list[Combination]:
    """The finished runs, grouped by the swept fields other than the seed, in order."""
    groups: dict[tuple[tuple[str, str], ...], list[Standing]] = {}
    for one in found:
        fields = tuple((path, value) for path, value in one.values.items() if path != SEED)
        members = groups.setdefault(fields, [])
        if one.standing is not None and one.standing.is_complete:
            members.append(one.standing)
    return [_combined(dict(fields), members) for fields, members in groups.items() if members]


def seed_mean(values: Sequence[float]) -> Interval:
    """The mean over runs with its Student's t interval: seeds are independent, and few."""
    scores = np.array(values)
    if not np.isfinite(scores).all():
        return Interval(float(scores.mean()), math.nan, math.nan, "a run has no finite score")
    return mean_interval(scores, "run", scores)


def result_of(name: str, path: Path, values: Mapping[str, str], error: str = "") -> Result:
    """A run of a sweep, or a stage, begun or not."""
    if not is_run(path):
        return Result(name, str(path), values, None, error)
    try:
        found = standing(RunDirectory(path))
    except UNREADABLE as damage:
        return Result(name, str(path), values, None, error or f"cannot be read: {damage}")
    return Result(name, str(path), values, found, error or found.error)


def _combined(values: Mapping[str, str], members: Sequence[Standing]) -> Combination:
    shared = [name for name in SCORES if all(name in one.scores and len(one.judged) > 1 for one in members)]
    return Combination(
        values=values,
        runs=len(members),
        steps=round(sum(one.done for one in members) / len(members)),
        seconds=math.fsum(one.seconds for one in members) / len(members),
        scores={name: _gain([one.scores[name] for one in members]) for name in shared},
    )


def _gain(pairs: Sequence[tuple[float, float]]) -> Gain:
    before, after = zip(*pairs, strict=True)
    return Gain(seed_mean(before), seed_mean(after), seed_mean([b - a for a, b in pairs]))
