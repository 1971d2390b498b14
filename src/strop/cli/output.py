"""stdout for data, stderr for messages; tables through rich, which is loaded when it is needed."""

from __future__ import annotations

import dataclasses
import json
import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from strop.types import decimals, digits_of, storable

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

BLOCKS = "▁▂▃▄▅▆▇█"


def say(text: str) -> None:
    """Print a message on stderr."""
    print(text, file=sys.stderr, flush=True)


def print_json(record: Any) -> None:
    """A record as JSON on stdout; a number that is not finite becomes null."""
    print(storable(json.dumps(_plain(record), indent=2, ensure_ascii=False, allow_nan=False)))


def console(stderr: bool = False) -> Console:
    """rich on stdout or stderr. It honours NO_COLOR, and what it prints is never read as markup."""
    from rich.console import Console

    return Console(stderr=stderr, highlight=False, markup=False, emoji=False)


def print_rich(what: RenderableType, stderr: bool = False) -> None:
    """Print a table or text of rich."""
    console(stderr).print(what)


def pairs(rows: Iterable[tuple[str, str]]) -> RenderableType:
    """Names on the left, texts on the right; the text below its name where a word would have to break."""
    from strop.cli.layout import Pairs

    return Pairs(list(rows))


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], right: Sequence[int] = ()) -> RenderableType:
    """A table without frames. The columns numbered in `right` hold numbers: aligned, and never broken. Where it is too
    narrow for whole words, each row becomes a paragraph."""
    from strop.cli.layout import Columns

    return Columns(columns, list(rows), frozenset(right))


def commands(rows: Sequence[tuple[str, str]], stderr: bool = False) -> None:
    """Print commands and what they do. Only the terminal may wrap a command, so that it can be copied whole."""
    width = max(len(command) for command, _ in rows)
    fits = all(width + len(why) + 4 <= console(stderr).width for _, why in rows)
    for command, why in rows:
        text = f"  {command:<{width}}  {why}" if fits else f"  {why}:\n    {command}"
        print(text.rstrip(), file=sys.stderr if stderr else sys.stdout, flush=True)


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


def number(value: float, sign: str = "") -> str:
    """A number as text, with fewer decimals where it is large; `sign` may be "+"."""
    return decimals(value, digits_of(value), sign) if math.isfinite(value) else "-"


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
