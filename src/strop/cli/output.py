"""stdout for data, stderr for talk; tables through rich, which is loaded when it is needed."""

from __future__ import annotations

import dataclasses
import json
import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

BLOCKS = "▁▂▃▄▅▆▇█"


def say(text: str) -> None:
    """A line of talk."""
    print(text, file=sys.stderr, flush=True)


def print_json(record: Any) -> None:
    """A record as JSON on stdout; a number that is not finite becomes null."""
    print(json.dumps(_plain(record), indent=2, ensure_ascii=False, allow_nan=False))


def console(stderr: bool = False) -> Console:
    """rich on stdout or stderr. It honours NO_COLOR, and what it prints is never read as markup."""
    from rich.console import Console

    return Console(stderr=stderr, highlight=False, markup=False, emoji=False)


def print_rich(what: RenderableType, stderr: bool = False) -> None:
    """A table or a text of rich."""
    console(stderr).print(what)


def pairs(rows: Iterable[tuple[str, str]]) -> RenderableType:
    """Names on the left, sentences on the right."""
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows:
        table.add_row(Text(name), Text(value))
    return table


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], right: Sequence[int] = ()) -> RenderableType:
    """A table without frames. The columns numbered in `right` hold numbers: aligned, and never broken."""
    from rich.table import Table
    from rich.text import Text

    made = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for number, name in enumerate(columns):
        made.add_column(
            Text(name), justify="right" if number in right else "left", no_wrap=number in right, overflow="fold"
        )
    for row in rows:
        made.add_row(*(Text(cell) for cell in row))
    return made


def sparkline(values: Sequence[float], width: int = 40) -> str:
    """A curve in one line: the mean of each slice, from the lowest block to the highest."""
    known = [value for value in values if math.isfinite(value)]
    if not known:
        return ""
    width = min(width, len(known))
    slices = [known[i * len(known) // width : (i + 1) * len(known) // width] for i in range(width)]
    means = [math.fsum(one) / len(one) for one in slices]
    low, high = min(means), max(means)
    span = high - low
    return "".join(BLOCKS[round((mean - low) / span * (len(BLOCKS) - 1)) if span else 3] for mean in means)


def bar(share: float, width: int = 40) -> str:
    """A horizontal bar of a share of `width` characters."""
    return "█" * max(round(share * width), 1 if share > 0 else 0)


def number(value: float, sign: str = "", like: float | None = None) -> str:
    """A number for a person, with fewer decimals where it (or what it stands beside) is large; `sign` may be "+"."""
    if not math.isfinite(value):
        return "-"
    size = abs(value if like is None else like)
    digits = 3 if size < 10 else 2 if size < 100 else 1 if size < 1000 else 0
    return f"{round(value, digits) + 0.0:{sign}.{digits}f}"  # + 0.0: no -0.000


def _plain(record: Any) -> Any:
    if dataclasses.is_dataclass(record) and not isinstance(record, type):
        return {f.name: _plain(getattr(record, f.name)) for f in dataclasses.fields(record)}
    if isinstance(record, Mapping):
        return {str(key): _plain(value) for key, value in record.items()}
    if isinstance(record, tuple | list):
        return [_plain(item) for item in record]
    if isinstance(record, float) and not math.isfinite(record):
        return None
    return record if record is None or isinstance(record, bool | int | float | str) else str(record)
