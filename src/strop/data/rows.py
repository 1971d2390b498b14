"""Rows of a text file: records of JSON Lines, of CSV, and plain lines. A broken one comes with what is wrong with it.

A row has the number of the line on which it begins, counted from 1, also where quotes hold line breaks.
"""

from __future__ import annotations

import codecs
import csv
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any, Literal, NoReturn

from strop.data.files import BOM, LONGEST, UTF_16
from strop.words import plural

UTF_8 = "utf-8"
INVALID = re.compile("[\udc80-\udcff]")
"""What stands for a byte that the encoding does not allow."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row. With a flaw it is broken, and has no fields."""

    number: int
    fields: Mapping[str, Any] = field(default_factory=dict)
    flaw: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """Rows, and what messages call them.

    name     the file, or what the rows are
    unit     what a row's number counts
    columns  the columns of every row, in order; none where each row names its own
    """

    name: str
    unit: Literal["line", "row"]
    columns: tuple[str, ...]
    rows: Iterable[Row]


def of_json_lines(path: Path, encoding: str = UTF_8) -> Table:
    """The object of each line. Empty lines are skipped."""
    text = _text(path, encoding)
    if text.lstrip().startswith("["):
        raise ValueError(f"{path} holds one list: write one JSON object a line, into a .jsonl.")
    lines = enumerate(text.split("\n"), start=1)
    return Table(str(path), "line", (), (_object(number, line, encoding) for number, line in lines if line.strip()))


def of_text(path: Path, encoding: str = UTF_8) -> Table:
    """Each line as a prompt. Empty lines are skipped."""
    text = _text(path, encoding)
    if text.lstrip().startswith('{"'):
        raise ValueError(f"{path} holds JSON: give it a name that ends in .jsonl.")
    lines = enumerate(text.split("\n"), start=1)
    rows = (_checked(Row(number, {"prompt": line.strip()}), encoding) for number, line in lines if line.strip())
    return Table(str(path), "line", ("prompt",), rows)


def of_csv(path: Path, encoding: str = UTF_8, separator: str = ",") -> Table:
    """The records below the first, which names the columns. Empty lines are skipped, and an empty cell is None.

    Quotes are text where fields are separated by a tab, which no text holds.
    """
    csv.field_size_limit(LONGEST)
    lines = StringIO(_text(path, encoding), newline="")
    records = _records(lines, separator)
    first, header, flaw = next(records, (1, [], "it is empty: the first line names the columns"))
    flaw = flaw or _header_flaw(header)
    if flaw:
        raise ValueError(f"{path}, line {first}: {flaw}.")
    columns = tuple(name.strip() or f"column {number}" for number, name in enumerate(header, start=1))
    rows = (_checked(_row(number, cells, flaw, columns), encoding) for number, cells, flaw in records)
    return Table(str(path), "line", columns, rows)


def _text(path: Path, encoding: str) -> str:
    """The text of a file. Bytes that are not in its encoding become lone surrogates, so that their row is known."""
    content = path.read_bytes()
    try:
        is_utf_8 = codecs.lookup(encoding).name == UTF_8
        if is_utf_8 and content.startswith(UTF_16):
            raise ValueError(f'{path} is not UTF-8 text, but UTF-16: give encoding="utf-16".')
        return content.removeprefix(BOM if is_utf_8 else b"").decode(encoding, "surrogateescape")
    except LookupError:
        raise ValueError(f'encoding={encoding!r} is not known: it is "utf-8", "gb18030", "cp1252", ...') from None
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not {encoding} text ({error.reason}, byte {error.start}).") from None


def _checked(row: Row, encoding: str) -> Row:
    """The row, which is broken if it holds bytes that the encoding does not allow."""
    if row.flaw or not any(INVALID.search(text) for text in row.fields.values() if text is not None):
        return row
    return Row(row.number, flaw=_encoding_flaw(encoding))


def _encoding_flaw(encoding: str) -> str:
    return f'this is not {encoding.upper()} text: name the encoding, such as encoding="cp1252" or "gb18030"'


def _object(number: int, line: str, encoding: str) -> Row:
    """The JSON object of a line."""
    if INVALID.search(line):
        return Row(number, flaw=_encoding_flaw(encoding))
    try:
        record = json.loads(line, parse_constant=_refuse)
    except json.JSONDecodeError as error:
        return Row(number, flaw=f"this is not JSON ({error.msg}, column {error.colno})")
    except (ValueError, RecursionError) as error:  # NaN, a number of thousands of digits, or lists in lists
        return Row(number, flaw=f"this is not JSON ({error})")
    if not isinstance(record, dict):
        kind = type(record).__name__
        return Row(number, flaw=f'a line is a JSON object such as {{"prompt": "..."}}, not {kind}')
    return Row(number, record)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


def _records(lines: StringIO, separator: str) -> Iterator[tuple[int, list[str], str]]:
    """(the line on which it begins, its cells, what is wrong) of each record. A broken one ends with its line."""
    quoting: Literal[0, 3] = csv.QUOTE_NONE if separator == "\t" else csv.QUOTE_MINIMAL
    records = csv.reader(lines, delimiter=separator, quoting=quoting, strict=True)  # a lost quote swallows rows
    while True:
        first = records.line_num + 1
        try:
            cells = next(records, None)
        except csv.Error as error:
            last = records.line_num
            reach = f", in lines {first} to {last}" if last > first else ""
            yield first, [], f"this is not CSV ({error}{reach}): a quote may be missing"
            continue
        if cells is None:
            return
        if cells:
            yield first, cells, ""


def _header_flaw(header: Sequence[str]) -> str:
    names = [name.strip() for name in header if name.strip()]
    twice = next((name for name in names if names.count(name) > 1), "")
    return f"the column {twice!r} is named twice" if twice else ""


def _row(number: int, cells: Sequence[str], flaw: str, columns: Sequence[str]) -> Row:
    if not flaw and len(cells) != len(columns):
        flaw = f"it has {plural(len(cells), 'cell')} for {plural(len(columns), 'column')}"
        flaw += ": a text that holds the separator stands in quotes" if len(cells) > len(columns) else ""
    if flaw:
        return Row(number, flaw=flaw)
    return Row(number, {name: cell or None for name, cell in zip(columns, cells, strict=True)})
