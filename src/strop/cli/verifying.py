"""The rows of `strop verify`: run one after the other, then shown."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

from strop.cli.errors import DONE, FAILED, Usage
from strop.cli.output import console, print_json, print_rich, say, table
from strop.verify.checks import Check, plan, run

COLUMNS = ("method", "must equal", "gap", "tolerance", "seconds", "verdict")


def check(full: bool, names: Sequence[str]) -> list[Check]:
    """Run them, and say on stderr which one is next."""
    try:
        planned = plan(full, names)
    except ValueError as error:
        raise Usage(str(error), hint="strop verify runs all of them") from None
    _one_thread()
    checks: list[Check] = []
    for number, one in enumerate(planned, 1):
        say(f"[{number}/{len(planned)}] {one.method}: {one.must_equal}")
        checks.extend(run(one))
    return checks


def show(checks: Sequence[Check], as_json: bool) -> int:
    """A table, or JSON with tracebacks; the exit code says whether all passed."""
    failed = [one for one in checks if one.verdict != "pass"]
    if as_json:
        print_json([dataclasses.asdict(one) | {"verdict": one.verdict} for one in checks])
        return FAILED if failed else DONE
    print_rich(table(COLUMNS, [_row(one) for one in checks], right=(2, 3, 4)))
    out = console()
    for one in failed:
        if one.error:
            out.print(f"\n{one.method}: {one.must_equal}\n  {one.error.strip().splitlines()[-1]}")
    seconds = math.fsum(one.seconds for one in checks)
    out.print(f"\n{len(checks) - len(failed)} of {len(checks)} pass, in {seconds:.0f} s", style="bold")
    return FAILED if failed else DONE


def _row(one: Check) -> tuple[str, ...]:
    gap = _number(one.gap)
    if one.low is not None and one.high is not None:
        gap += f" [{_number(one.low)}, {_number(one.high)}]"
    return one.method, one.must_equal, gap, _number(one.tolerance), f"{one.seconds:.1f}", one.verdict


def _number(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.2g}"


def _one_thread() -> None:
    """The tensors are tiny: threads would only wait for each other."""
    import torch

    torch.set_num_threads(1)
