"""Pairs of texts from a file: .tsv, .csv or .jsonl with a column for each language, or a message catalogue."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from io import StringIO
from itertools import islice
from pathlib import Path
from typing import Any

from strop.data.messages import ENGLISH, canonical, messages
from strop.data.pairs import Dropped, Pair
from strop.types import shown

KINDS = (".tsv", ".csv", ".jsonl", ".po", ".mo")


def pairs_in(file: Path, source: str, target: str) -> Iterator[Pair | Dropped]:
    """The pairs of a file, in order, and what is none in a catalogue. Raises ValueError for what cannot be read.

    A column is called `source` or `target`, or by its language: with the columns `en` and `de` a file is read in both
    directions. A catalogue pairs English with its one language.
    """
    match kind := file.suffix.lower():
        case ".po" | ".mo":
            yield from _of_catalogue(file, kind == ".mo", source, target)
        case ".jsonl":
            yield from _of_objects(file, source, target)
        case ".tsv" | ".csv":
            yield from _of_rows(file, kind == ".tsv", source, target)
        case _:
            raise ValueError(f"{file}: pairs are read from {', '.join(KINDS[:-1])} or {KINDS[-1]}.")


def _of_catalogue(file: Path, is_compiled: bool, source: str, target: str) -> Iterator[Pair | Dropped]:
    languages = [canonical(source), canonical(target)]
    if ENGLISH not in languages:
        raise ValueError(
            f"{file} pairs English with one language: source or target is {ENGLISH}, not {source} and {target}."
        )
    for message in messages(file.read_bytes(), is_compiled, str(file)):
        one, other = message.text, message.translation
        pair = Pair(one, other, str(file)) if languages[0] == ENGLISH else Pair(other, one, str(file))
        yield Dropped(pair, message.flaw) if message.flaw else pair


def _of_objects(file: Path, source: str, target: str) -> Iterator[Pair]:
    for number, line in enumerate(_text(file).split("\n"), 1):
        if not line.strip():
            continue
        place = f"{file}, line {number}"
        try:
            record: Any = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{place}: this is not JSON ({error}).") from None
        if not isinstance(record, dict):
            raise ValueError(f'{place}: a line is {{"source": "...", "target": "..."}}, not {shown(record)}.')
        names = _columns(list(record), source, target, place)
        for name in names:
            if not isinstance(record[name], str):
                raise ValueError(f"{place}: {name} is a text, not {shown(record[name])}.")
        yield Pair(record[names[0]], record[names[1]], place)


def _of_rows(file: Path, is_tsv: bool, source: str, target: str) -> Iterator[Pair]:
    """Quotes in a .tsv are text, since fields are separated by what no text holds."""
    lines = StringIO(_text(file))
    try:
        rows = csv.reader(lines, csv.excel_tab, quoting=csv.QUOTE_NONE) if is_tsv else csv.reader(lines, strict=True)
        header = [name.strip() for name in next(rows, [])]
        columns = [header.index(name) for name in _columns(header, source, target, f"{file}, line 1")]
        for row in rows:
            place = f"{file}, line {rows.line_num}"
            if row and len(row) <= max(columns):
                raise ValueError(f"{place} has {len(row)} of the {len(header)} columns that line 1 names.")
            if row:
                yield Pair(row[columns[0]], row[columns[1]], place)
    except csv.Error as error:
        raise ValueError(f"{file}, line {rows.line_num}: this is not CSV ({error}).") from None


def _columns(names: Sequence[str], source: str, target: str, place: str) -> tuple[str, str]:
    """The names of the two columns."""
    by_language = {canonical(name): name for name in names}
    found = [
        name if name in names else by_language.get(canonical(language), "")
        for name, language in (("source", source), ("target", target))
    ]
    if not all(found):
        missing = "source and target" if not any(found) else "source" if not found[0] else "target"
        there = ", ".join(islice((repr(name) for name in names), 8)) or "nothing"
        raise ValueError(
            f"{place} names no column for {missing}: it has {there}. Call the columns source and target, or by their "
            f"languages, {source} and {target}."
        )
    return found[0], found[1]


def _text(file: Path) -> str:
    """The text of a file, with one kind of line ends."""
    try:
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError(f"{file} is not UTF-8 text.") from None
    except OSError as error:
        raise ValueError(f"{file} cannot be read ({error.strerror}).") from None
