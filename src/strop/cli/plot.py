"""draw the learning curves of one or more runs as a picture

A sweep is drawn as all of its runs, and the stages of a run one after the other. Judged means carry their 95 %
intervals over prompts. Runs that differ only in their seed are drawn as their mean and a band from the lowest to the
highest. The format follows the file's ending: .png, .svg or .pdf.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from strop.cli.errors import DONE

if TYPE_CHECKING:
    from strop.runs.directory import RunDirectory

EXAMPLES = """\
examples:
  strop plot runs/first -o curve.png
  strop plot first second third -o compare.svg
"""


def add(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.add_argument("runs", nargs="+", metavar="RUN", help="a run's or a sweep's folder, or its name in ./runs")
    parser.add_argument("-o", "--output", metavar="FILE", required=True, help="the picture to write")


def run(args: argparse.Namespace) -> int:
    """Draw the picture, and print its path."""
    from strop.reports.curves import draw

    found = [one for name in args.runs for one in _runs(name)]
    starts = {run.path: start for run, start in found if start is not None}
    print(draw([run for run, _ in found], Path(args.output), starts))
    return DONE


def _runs(name: str) -> list[tuple[RunDirectory, int | None]]:
    """The run of this name, the runs of a sweep, or the stages of a run, with the step at which each stage begins."""
    from strop.reports.seeds import begun_runs
    from strop.reports.stages import begun_stages
    from strop.runs import sweep
    from strop.runs.directory import find_run, find_staged, find_sweep

    if (staged := find_staged(name)) is not None:
        return [*begun_stages(staged)]
    found = find_sweep(name)
    return [(run, None) for run in (begun_runs(sweep.read(found), found) if found else [find_run(name)])]
