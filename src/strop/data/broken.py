"""Rows that are no tasks, in words: each by its number, the first with what is wrong with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from strop.data.rows import Table

SHOWN = 5
"""Broken rows whose flaw is told. The others are named."""


@dataclass(frozen=True, slots=True)
class Broken:
    """The number of a row, and what is wrong with it."""

    number: int
    flaw: str


def refusal(table: Table, broken: Sequence[Broken], num_rows: int) -> str:
    """Why the rows cannot be read, and what to do."""
    if len(broken) == 1:
        return f"{table.name}, {table.unit} {broken[0].number}: {broken[0].flaw}."
    what_to_do = 'Correct them, or leave them out: broken="leave out" in strop.data.from_file or from_rows.'
    return f"{_listed(table, broken, num_rows, 'broken')}\n{what_to_do}"


def leaving(table: Table, broken: Sequence[Broken], num_rows: int) -> str:
    """Which rows are left out, and why."""
    return _listed(table, broken, num_rows, "left out")


def _listed(table: Table, broken: Sequence[Broken], num_rows: int, what: str) -> str:
    verb = "is" if len(broken) == 1 else "are"
    rows = f"{num_rows:,} {table.unit}{'s' * (num_rows != 1)}"
    lines = [f"{table.name}: {len(broken):,} of {rows} {verb} {what}:"]
    lines += [f"  {table.unit} {one.number}: {one.flaw}" for one in broken[:SHOWN]]
    if others := broken[SHOWN:]:
        lines.append(f"  and {table.unit}s {_ranges([one.number for one in others])}")
    return "\n".join(lines)


def _ranges(numbers: Sequence[int]) -> str:
    """`3, 7-9` of 3, 7, 8 and 9."""
    runs = [list(run) for _, run in groupby(enumerate(numbers), key=lambda pair: pair[1] - pair[0])]
    return ", ".join(f"{run[0][1]}" if len(run) == 1 else f"{run[0][1]}-{run[-1][1]}" for run in runs)
