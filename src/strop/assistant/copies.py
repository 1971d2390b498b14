"""Copies of what people wrote in files that no list names: found by what they hold.

A file is searched as bytes, and then as what it is: a database value by value, since a long value lies in pages that
are apart; a compressed file as what was compressed; and a text line by line, with its escapes read.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from strop.assistant.needles import Needles
from strop.assistant.packed import UNREADABLE, is_packed, pieces, unpacked, whole_lines

_BEGINNING = 1 << 16
"""So many bytes tell whether a file is a text."""
SQLITE = b"SQLite format 3\0"
_ROWS = 1000
"""Of a table, at a time."""
WEIGHTS = (".safetensors",)
"""Numbers alone."""


@dataclass(frozen=True, slots=True)
class Walked:
    """The files of a folder, and what in it could not be looked at."""

    files: tuple[Path, ...]
    unread: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class Searched:
    """The files in which something stands, and those that could not be read, in which it may."""

    holding: tuple[Path, ...] = ()
    unread: tuple[Path, ...] = ()

    def __add__(self, other: Searched) -> Searched:
        return Searched(self.holding + other.holding, self.unread + other.unread)


def walked(folder: Path) -> Walked:
    """All files of a folder but weights, also those to which links lead; no folder twice, and first as what it is."""
    found, unread, seen, links = list[Path](), list[Path](), set[str](), [folder]

    def is_closed(error: OSError) -> None:
        unread.append(Path(error.filename))

    while links:
        for here, folders, names in os.walk(links.pop(0), onerror=is_closed):
            if (real := os.path.realpath(here)) in seen:
                folders.clear()
                continue
            seen.add(real)
            found += [Path(here) / name for name in names]
            links += [Path(here) / name for name in folders if os.path.islink(Path(here) / name)]
    files = list[Path]()
    for file in sorted(found):
        try:
            if file.suffix not in WEIGHTS and file.is_file():
                files.append(file)
        except OSError:
            unread.append(file)
    return Walked(tuple(files), tuple(sorted(unread)))


def searched(files: Iterable[Path], is_in: Callable[[Path], bool]) -> Searched:
    """In which files it is, and which could not be read."""
    holding, unread = list[Path](), list[Path]()
    for file in files:
        try:
            if is_in(file):
                holding.append(file)
        except FileNotFoundError:
            continue  # what is deleted meanwhile holds nothing
        except UNREADABLE:
            unread.append(file)
    return Searched(tuple(holding), tuple(unread))


def are_in_bytes(needles: Needles, file: Path) -> bool:
    """Whether one of them stands in a file as it is."""
    if not needles.all:
        return False
    with file.open("rb") as opened:
        return needles.are_in_pieces(pieces(opened))


def are_in(needles: Needles, file: Path) -> bool:
    """Whether one of them stands in a file, whatever kind of file it is."""
    if not needles.all:
        return False
    if are_in_bytes(needles, file):
        return True
    if is_database(file):
        return _are_in_values(needles, file)
    if is_packed(file):
        return needles.are_in_pieces(unpacked(file))
    with file.open("rb") as opened:
        if b"\0" in opened.read(_BEGINNING):
            return False  # no text that has escapes
        opened.seek(0)
        texts = (piece.decode("utf-8", "replace") for piece in whole_lines(pieces(opened)))
        return any(map(needles.are_behind_escapes, texts))


def _are_in_values(needles: Needles, file: Path) -> bool:
    with closing(_reading(file)) as connection:
        for name in columns_of(file):
            rows = connection.execute(f"SELECT * FROM {_quoted(name)}")
            while some := rows.fetchmany(_ROWS):
                values = [value for row in some for value in row]
                texts = "\n".join(value for value in values if isinstance(value, str))
                if needles.are_in_text(texts) or any(map(needles.are_in_bytes, filter(_is_bytes, values))):
                    return True
    return False


def _is_bytes(value: object) -> bool:
    return isinstance(value, bytes)


def is_beyond(file: Path, folder: Path) -> bool:
    """Whether only a link leads there: the file itself may be somebody else's."""
    return file.resolve() != folder.resolve() / file.relative_to(folder)


def is_database(file: Path) -> bool:
    """Whether it is a SQLite file."""
    with file.open("rb") as opened:
        return opened.read(len(SQLITE)) == SQLITE


def columns_of(file: Path) -> dict[str, set[str]]:
    """The tables of a SQLite file, and their columns."""
    with closing(_reading(file)) as connection:
        names = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {name: {row[1] for row in connection.execute(f"PRAGMA table_info({_quoted(name)})")} for name in names}


def _reading(file: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)
    connection.text_factory = lambda data: data.decode("utf-8", "replace")
    return connection


def _quoted(name: str) -> str:
    """A table's name in SQL."""
    return '"' + name.replace('"', '""') + '"'
