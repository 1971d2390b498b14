"""check every algorithm against its exact answer

Each row says what a method must equal, the measured gap, and the tolerance. NAME selects the rows of one method or of
one family of methods; --full adds learning runs over five seeds, with the smallest and the largest gap.
"""

from __future__ import annotations

import argparse
import dataclasses
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from strop.cli.errors import DONE, FAILED, Usage
from strop.cli.output import console, print_json, print_rich, say, table

if TYPE_CHECKING:
    from strop.verify.checks import Result

COLUMNS = ("method", "must equal", "gap", "tolerance", "seconds", "verdict")

EXAMPLES = """\
examples:
  strop verify
  strop verify RLOO KL
  strop verify --full --json
"""


def add(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these methods or families (default: all)")
    parser.add_argument("--full", action="store_true", help="the learning runs too: minutes instead of seconds")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Run the checks; the exit code says whether all passed."""
    results = _results(args.full, args.names)
    failed = [one for one in results if one.verdict != "pass"]
    if args.json:
        print_json([dataclasses.asdict(one) | {"verdict": one.verdict} for one in results])
        return FAILED if failed else DONE
    print_rich(table(COLUMNS, [_row(one) for one in results], right=(2, 3, 4)))
    for one in failed:
        if one.error:
            console().print(f"\n{one.method}: {one.must_equal}\n  {one.error.strip().splitlines()[-1]}")
    seconds = math.fsum(one.seconds for one in results)
    console().print(f"\n{len(results) - len(failed)} of {len(results)} pass, in {seconds:.0f} s", style="bold")
    return FAILED if failed else DONE


def _results(full: bool, names: Sequence[str]) -> list[Result]:
    """Run them, with progress on stderr."""
    import torch

    from strop.verify.checks import find, measure

    try:
        found = find(full, names)
    except ValueError as error:
        raise Usage(str(error), hint="strop verify runs all of them") from None
    torch.set_num_threads(1)  # the tensors are tiny: threads would only wait for each other
    results: list[Result] = []
    for number, one in enumerate(found, 1):
        say(f"[{number}/{len(found)}] {one.method}: {one.must_equal}")
        results.extend(measure(one))
    return results


def _row(one: Result) -> tuple[str, ...]:
    gap = _number(one.gap)
    if one.low is not None and one.high is not None:
        gap += f" [{_number(one.low)}, {_number(one.high)}]"
    return one.method, one.must_equal, gap, _number(one.tolerance), f"{one.seconds:.1f}", one.verdict


def _number(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.2g}"
