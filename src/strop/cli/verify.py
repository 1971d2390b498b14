"""check every algorithm against its exact answer

Each row says what a method must equal, the measured gap, and its tolerance. NAME keeps the rows of one method or of
one family of methods; --full adds learning runs over five seeds, with the best and the worst.
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
    from strop.verify.checks import Check

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
    checks = _checked(args.full, args.names)
    failed = [one for one in checks if one.verdict != "pass"]
    if args.json:
        print_json([dataclasses.asdict(one) | {"verdict": one.verdict} for one in checks])
        return FAILED if failed else DONE
    print_rich(table(COLUMNS, [_row(one) for one in checks], right=(2, 3, 4)))
    for one in failed:
        if one.error:
            console().print(f"\n{one.method}: {one.must_equal}\n  {one.error.strip().splitlines()[-1]}")
    seconds = math.fsum(one.seconds for one in checks)
    console().print(f"\n{len(checks) - len(failed)} of {len(checks)} pass, in {seconds:.0f} s", style="bold")
    return FAILED if failed else DONE


def _checked(full: bool, names: Sequence[str]) -> list[Check]:
    """Run the checks, and print on stderr which one is next."""
    import torch

    from strop.verify.checks import plan, run

    try:
        planned = plan(full, names)
    except ValueError as error:
        raise Usage(str(error), hint="strop verify runs all of them") from None
    torch.set_num_threads(1)  # the tensors are tiny: threads would only wait for each other
    checks: list[Check] = []
    for number, one in enumerate(planned, 1):
        say(f"[{number}/{len(planned)}] {one.method}: {one.must_equal}")
        checks.extend(run(one))
    return checks


def _row(one: Check) -> tuple[str, ...]:
    gap = _number(one.gap)
    if one.low is not None and one.high is not None:
        gap += f" [{_number(one.low)}, {_number(one.high)}]"
    return one.method, one.must_equal, gap, _number(one.tolerance), f"{one.seconds:.1f}", one.verdict


def _number(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.2g}"
