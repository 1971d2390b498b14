"""draw the learning curves of one or more runs as a picture

Judged means carry their 95 % intervals over prompts. Runs that differ in nothing but their seed are drawn as their mean
and a band from the lowest to the highest. The format follows the file's ending: .png, .svg or .pdf.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from strop.cli.errors import DONE

EXAMPLES = """\
examples:
  strop plot runs/first -o curve.png
  strop plot first second third -o compare.svg
"""


def add(parser: argparse.ArgumentParser) -> None:
    """The arguments."""
    parser.add_argument("runs", nargs="+", metavar="RUN", help="a run's folder, or its name in ./runs")
    parser.add_argument("-o", "--output", metavar="FILE", required=True, help="the picture to write")


def run(args: argparse.Namespace) -> int:
    """Draw, and print where."""
    from strop.curves import draw
    from strop.runs.directory import find_run

    print(draw([find_run(name) for name in args.runs], Path(args.output)))
    return DONE
