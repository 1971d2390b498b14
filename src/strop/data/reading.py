"""The documents of a corpus, read one after another, so that a text of any size needs little memory.

    a .txt        documents are separated by blank lines; where it has none, each line is one
    a folder      each text file in it and below is a document, in the order of their paths
    a .jsonl      the field of each line
    a .csv        the field of each row

Bytes that are no UTF-8 become lone surrogates here, which cleaning counts and replaces.
"""

from __future__ import annotations

import csv
import difflib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from strop.data.files import LONGEST, files_of, flaw_of, lines_of
from strop.types import shown


@dataclass(frozen=True, slots=True)
class Raw:
    """A document as it was read. `place` is its file in the folder, or the number of its first line."""

    place: str
    text: str


class Reader:
    """Reads the documents of a file or a folder once, and counts what it meets.

    num_bytes  read so far
    num_cut    documents that went on after their LONGEST bytes: the rest is a document of its own
    skipped    files that hold no text, by reason
    unit       what a document is: file, row, line or paragraph
    """

    def __init__(self, source: Path, field: str) -> None:
        self.source, self.field = source, field
        self.num_bytes = self.num_cut = 0
        self.skipped: Counter[str] = Counter()
        self.unit = _unit(source)

    def __iter__(self) -> Iterator[Raw]:
        match self.source.suffix.lower(), self.unit:
            case _, "file":
                return self._files()
            case ".jsonl", _:
                return self._objects()
            case ".csv", _:
                return self._rows()
            case _, "paragraph":
                return self._paragraphs()
        return self._single_lines()

    def _files(self) -> Iterator[Raw]:
        for file in files_of(self.source):
            if flaw := flaw_of(file):
                self.skipped[flaw] += 1
                continue
            place = file.relative_to(self.source).as_posix()
            yield from (Raw(place, text) for text in self._cut(text for _, text in self._lines(file)))

    def _objects(self) -> Iterator[Raw]:
        for number, line in self._lines(self.source):
            if line.strip():
                yield Raw(str(number), _text(line, self.field, f"{self.source}, line {number}"))

    def _rows(self) -> Iterator[Raw]:
        csv.field_size_limit(LONGEST)
        rows = csv.reader((line for _, line in self._lines(self.source)), strict=True)  # a lost quote swallows rows
        try:
            header = next(rows, [])
            _check_field(header, self.field, str(self.source))
            column = header.index(self.field)
            yield from (Raw(str(rows.line_num), row[column] if column < len(row) else "") for row in rows if row)
        except csv.Error as error:
            raise ValueError(f"{self.source}, line {rows.line_num}: this is not CSV ({error}).") from None

    def _paragraphs(self) -> Iterator[Raw]:
        first, held = 1, list[str]()
        for number, line in self._lines(self.source):
            if line.strip():
                first = first if held else number
                held.append(line)
            elif held:
                yield from (Raw(str(first), text) for text in self._cut(held))
                held = []
        yield from (Raw(str(first), text) for text in self._cut(held))

    def _single_lines(self) -> Iterator[Raw]:
        before = 0
        for number, line in self._lines(self.source):
            if line.strip():
                self.num_cut += number == before
                before = number
                yield Raw(str(number), line)

    def _cut(self, lines: Iterable[str]) -> Iterator[str]:
        """The lines as one document, or as several where they are too long."""
        held, size = list[str](), 0
        for line in lines:
            if held and size + len(line) > LONGEST:
                self.num_cut += 1
                yield "".join(held)
                held, size = [], 0
            held.append(line)
            size += len(line)
        if held:
            yield "".join(held)

    def _lines(self, path: Path) -> Iterator[tuple[int, str]]:
        with path.open("rb") as file:
            for number, line in lines_of(file):
                self.num_bytes += len(line)
                yield number, line.decode("utf-8", "surrogateescape")


def check_readable(source: Path, field: str) -> None:
    """Raise ValueError if it holds no text, or its first document cannot be read. Reads only the beginning."""
    if not source.is_dir():
        _check_file(source)
    elif not any(not flaw_of(file) for file in files_of(source)):
        flaws = Counter(map(flaw_of, files_of(source)))
        found = ", ".join(f"{number} {flaw}" for flaw, number in sorted(flaws.items())) or "it is empty"
        raise ValueError(f"the folder {source} holds no text file ({found}).")
    if next(iter(Reader(source, field)), None) is None:
        raise ValueError(f"{source} holds no text: it is empty.")


def _check_file(source: Path) -> None:
    match flaw_of(source):
        case "unreadable":
            raise ValueError(f"{source} cannot be read: may you read it?")
        case "empty":
            raise ValueError(f"{source} is empty: a corpus holds text.")
        case "binary":
            raise ValueError(f"{source} is a binary file: a corpus is UTF-8 text.")
        case "not UTF-8":
            raise ValueError(
                f"{source} is not UTF-8 text. If it is text in another encoding, convert it first, for example: "
                "iconv -f GB18030 -t UTF-8"
            )
    if source.suffix.lower() == ".json":
        raise ValueError(f"{source}: write one JSON object a line, into a .jsonl.")


def _unit(source: Path) -> str:
    if source.is_dir():
        return "file"
    if source.suffix.lower() in (".jsonl", ".csv"):
        return "row"
    return "paragraph" if _has_paragraphs(source) else "line"


def _has_paragraphs(source: Path) -> bool:
    """Whether a blank line stands between two that are not. Reads up to the first one."""
    has_text = is_after_blank = False
    with source.open("rb") as file:
        for _, line in lines_of(file):
            if line.strip() and is_after_blank:
                return True
            has_text = has_text or bool(line.strip())
            is_after_blank = has_text and not line.strip()
    return False


def _text(line: str, field: str, place: str) -> str:
    """The text that a line of JSON holds in a field; null is no text."""
    if len(line) >= LONGEST:
        raise ValueError(f"{place}: a line has at most {LONGEST >> 20} MB.")
    try:
        record: Any = json.loads(line)
    except json.JSONDecodeError as error:
        raise ValueError(f"{place}: this is not JSON ({error.msg}, column {error.colno}).") from None
    except (ValueError, RecursionError) as error:  # a number of thousands of digits, or lists in lists
        raise ValueError(f"{place}: this JSON cannot be read ({error}).") from None
    if not isinstance(record, dict):
        raise ValueError(f'{place}: a line is a JSON object such as {{"{field}": "..."}}, not {shown(record)}.')
    _check_field(list(record), field, place)
    value = record[field]
    if not isinstance(value, str | None):
        raise ValueError(f"{place}: the field {field!r} is a text, not {shown(value)}.")
    return value or ""


def _check_field(names: Sequence[str], field: str, place: str) -> None:
    """Raise ValueError unless the field is one of these; the nearest is named first."""
    if field not in names:
        near = difflib.get_close_matches(field, names, n=len(names) or 1, cutoff=0.0)
        there = ", ".join(near[:8]) or "none"
        raise ValueError(f"{place} has no field {field!r}. It has {there}: choose with data.field=NAME.")
