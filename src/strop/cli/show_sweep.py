"""`strop show` of a sweep: each combination with its means over seeds, and every run."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from strop.cli.output import commands, console, number, print_json, print_rich, say, table
from strop.intervals import Interval
from strop.reports.seeds import Combination, Result, begun_runs, combinations, results
from strop.runs.standing import OUT_OF_TIME, SCORES, Standing
from strop.runs.sweep import SEED, Sweep
from strop.types import decimals, digits_of

if TYPE_CHECKING:
    from rich.console import RenderableType

CURVES = "curves.png"


def page(sweep: Sweep, directory: Path, errors: Mapping[str, str], as_json: bool) -> None:
    """The means over seeds, then the runs, then why runs failed."""
    found = results(sweep, directory, errors)
    combined = combinations(found)
    if as_json:
        print_json({"sweep": str(directory), "what": sweep, "combinations": combined, "runs": found})
        return
    out = console()
    finished = sum(one.is_complete for one in found)
    fixed = "".join(f" {path}={value}" for path, value in sweep.fixed.items())
    out.print(f"{directory}: {sweep.recipe}{fixed}, {finished} of {len(found)} runs finished", style="bold")
    for name in SCORES if SEED in sweep.swept else ():
        if judged := [one for one in combined if name in one.scores]:
            _print_means(name, judged, sweep.labels())
    out.print()
    print_rich(runs(found))
    for one in found:
        if one.error:
            out.print(f"{one.name}: {one.error}", style="bold red")


def members(sweep: Sweep, directory: Path, as_json: bool) -> None:
    """The runs of a dry run, with their status and fields."""
    found = results(sweep, directory, {})
    if as_json:
        print_json({"sweep": str(directory), "what": sweep, "runs": found})
        return
    typed = [shlex.join(sweep.overrides(member)) for member in sweep.members()]
    rows = [(one.run, _status(one), what) for one, what in zip(found, typed, strict=True)]
    print_rich(table(["run", "status", "set"], rows))
    console().print(f"\ndry run of {len(rows)} runs: nothing was trained or written")


def draw(sweep: Sweep, directory: Path) -> None:
    """Draw the learning curves of the runs that have begun."""
    from strop.reports.curves import draw as draw_curves

    if runs := begun_runs(sweep, directory):
        draw_curves(runs, directory / CURVES)


def what_next(directory: Path, errors: Mapping[str, str]) -> None:
    """The commands to run next."""
    name = shlex.quote(str(directory))
    lines = [(f"strop show {name}", "this table again")]
    if (directory / CURVES).is_file():
        lines.append((f"{directory / CURVES}", "the curves as a picture"))
    if errors:
        lines.append((f"strop sweep --run {name}", "try again what failed"))
    say("\nnext:")
    commands(lines, stderr=True)


def _print_means(score: str, combined: Sequence[Combination], labels: Mapping[str, str]) -> None:
    """One row for each combination."""
    columns = ["", "runs", "before", "after", "difference", "steps", "minutes"]
    rows = []
    for one in combined:
        gain = one.scores[score]
        name = ", ".join(f"{labels[path]}={value}" for path, value in one.values.items()) or "all seeds"
        means = _mean(gain.before), _mean(gain.after), _mean(gain.difference, "+")
        rows.append((name, str(one.runs), *means, str(one.steps), _minutes(one.seconds)))
    out = console()
    out.print(f"\nheld-out {score}", style="bold")
    print_rich(table(columns, rows, right=range(1, len(columns))))
    out.print("means over seeds ± 95 % (Student's t); no ± for one run, or equal ones", style="dim")


def runs(found: Sequence[Result]) -> RenderableType:
    """One row for each run; a score is shown at the first and the last judgement."""
    scores = [name for name in SCORES if any(one.standing is not None and name in one.standing.scores for one in found)]
    columns = ["run", "status", *scores, "steps", "minutes"]
    return table(columns, [_row(one, scores) for one in found], right=range(2, len(columns)))


def _row(one: Result, scores: Sequence[str]) -> tuple[str, ...]:
    if one.standing is None:
        return one.name, _status(one), *("-" for _ in scores), "-", "-"
    gains = [_gain(one.standing, name) for name in scores]
    return one.name, _status(one), *gains, str(one.standing.done), _minutes(one.standing.seconds)


def _gain(standing: Standing, score: str) -> str:
    """Before and after; one number where it was judged once."""
    if score not in standing.scores:
        return "-"
    before, after = (number(value) for value in standing.scores[score])
    return f"{before} -> {after}" if len(standing.judged) > 1 else before


def _status(one: Result) -> str:
    if one.standing is None:
        return "failed" if one.error else "not begun"
    is_over = one.standing.status in ("finished", OUT_OF_TIME)
    return "not judged" if is_over and not one.is_complete else one.standing.status


def _mean(one: Interval, sign: str = "") -> str:
    """`0.512 ± 0.030`."""
    if not math.isfinite(one.low):
        return number(one.mean, sign)
    return f"{number(one.mean, sign)} ± {decimals(one.high - one.mean, digits_of(one.mean))}"


def _minutes(seconds: float) -> str:
    minutes = seconds / 60
    return f"{minutes:.1f}" if minutes >= 10 else f"{minutes:.2f}"
