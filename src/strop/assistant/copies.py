"""Copies of what people wrote in files that no list names: found by what they hold, and taken out of them.

A file is searched as bytes, and then as what it is: a database value by value, since a long value lies in pages that
are apart; a compressed file as what was compressed; and a text line by line, with its escapes read.
"""

from __future__ import annotations

import json
import os
import re
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from strop.assistant.needles import ENCODINGS, Needles
from strop.assistant.packed import UNREADABLE, is_packed, pieces, unpacked, whole_lines
from strop.runs.files import replace_bytes, writing

_IN_NO_TEXT = re.compile("[\x00-\x08\x0e-\x1a\x1c-\x1f]")
"""Control characters: bytes that read like this in an encoding are no text in it."""
_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")
"""Other characters that end a line on a screen stand in the middle of one in JSON Lines."""
_FEW, _MANY = 2, 20
"""So many lines, and no more, are theirs however short a file is, or however long."""
_BEGINNING = 1 << 16
"""So many bytes tell whether a file is a text."""
SQLITE = b"SQLite format 3\0"
LINEWISE = (".jsonl", ".log", ".txt")
"""Kinds of files that may lose a line and stay what they are: a table or an archive may not."""
MOST = 1 << 28
"""Bytes of a file from which lines are taken: it is held in memory."""
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
        return any(needles.are_in_line(piece.decode("utf-8", "replace")) for piece in whole_lines(pieces(opened)))


def _are_in_values(needles: Needles, file: Path) -> bool:
    with closing(_reading(file)) as connection:
        for name in columns_of(file):
            for row in connection.execute(f"SELECT * FROM {_quoted(name)}"):
                if any(_is_in_value(needles, value) for value in row):
                    return True
    return False


def _is_in_value(needles: Needles, value: object) -> bool:
    if isinstance(value, bytes):
        return needles.are_in_bytes(value)
    return isinstance(value, str) and needles.are_in_line(value)


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


def without_lines(file: Path, needles: Needles) -> bool:
    """Take the lines out of a file of lines in which one of them stands, in whichever encoding; False for another."""
    seen = file.stat()
    if file.suffix not in LINEWISE or seen.st_size > MOST:
        return False
    data = file.read_bytes()
    for encoding in ENCODINGS:
        text = _text(data, encoding)
        kept = None if text is None else _kept(text, file.suffix, needles)
        if kept is not None:
            if _is_written(file, seen):
                return False
            with writing(file.name, file.parent):
                replace_bytes(file, kept.encode(encoding))
            return not are_in(needles, file)
    return False


def _is_written(file: Path, seen: os.stat_result) -> bool:
    """Whether somebody writes to a file since: what they write from now on would be lost with it."""
    now = file.stat()
    return (now.st_ino, now.st_size, now.st_mtime_ns) != (seen.st_ino, seen.st_size, seen.st_mtime_ns)


def _text(data: bytes, encoding: str) -> str | None:
    """Bytes as a text; None if they are none in this encoding."""
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError:
        return None
    return None if _IN_NO_TEXT.search(text) or text.encode(encoding) != data else text


def _kept(text: str, ending: str, needles: Needles) -> str | None:
    """The text without those lines; None if it is none of lines, or has none of them."""
    mark = "\ufeff" if text.startswith("\ufeff") else ""
    lines = _LINE.findall(text.removeprefix(mark))
    if not _is_linewise(lines, ending):
        return None
    holding = {line: _theirs(line, needles) for line in lines if needles.are_in_line(line)}
    common = _common(lines, holding)
    kept = [line for line in lines if line not in holding or _may_stay(line, holding[line], common, needles)]
    return None if kept == lines else mark + "".join(kept)


def _is_linewise(lines: Sequence[str], ending: str) -> bool:
    """Whether what is left without some lines is a file of the same kind. One JSON value may take many lines, and a
    list in a line may hold what many people wrote."""
    if ending == ".jsonl":
        return all(isinstance(_read(line), dict) for line in lines if line.strip())
    whole = _read("".join(lines))
    return not isinstance(whole, list) and not (isinstance(whole, dict) and len(lines) > 1)


def _read(line: str) -> object:
    """The JSON of a line; what is none stays as it is."""
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return line


def _texts(value: object) -> Iterator[str]:
    """The texts in JSON."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, (list, dict)):
        for one in value.values() if isinstance(value, dict) else value:
            yield from _texts(one)


def _theirs(line: str, needles: Needles) -> set[str]:
    """Which lines of theirs a line says: JSON says what its texts do."""
    return {found for text in _texts(_read(line)) for found in needles.lines_in(text)}


def _common(lines: Sequence[str], holding: Mapping[str, AbstractSet[str]]) -> set[str]:
    """What stands in so many lines of a file that most of these may be those of others: the form of a file, say."""
    counts = Counter(text for line in lines for text in holding.get(line, ()))
    most = min(_MANY, max(_FEW, len(lines) // 2))
    return {text for text, count in counts.items() if count > most}


def _may_stay(line: str, theirs: AbstractSet[str], common: AbstractSet[str], needles: Needles) -> bool:
    """Whether a line may be another's: it does not name them, and says nothing that only they wrote."""
    return theirs <= common and not needles.are_named_in(line)
