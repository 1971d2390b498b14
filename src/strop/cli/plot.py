"""draw the learning curves of one or more runs as a picture

A sweep is drawn as all of its runs. Judged means carry their 95 % intervals over prompts. Runs that differ only
in their seed are drawn as their mean and a band from the lowest to the highest. The format follows the file's ending:
.png, .svg or .pdf.
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

    print(draw([run for name in args.runs for run in _runs(name)], Path(args.output)))
    return DONE


def _runs(name: str) -> list[RunDirectory]:
    """The run of this name, or the runs of a sweep."""
    from strop.reports.seeds import begun_runs
    from strop.runs import sweep
    from strop.runs.directory import find_run, find_sweep

    found = find_sweep(name)
    return begun_runs(sweep.read(found), found) if found else [find_run(name)]
