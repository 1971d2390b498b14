"""Copies of what people wrote in files that no list names: found by what they hold, and taken out of them.

Searched for are the lines of each text, as they are and as JSON writes them, also between placeholders, since a copy
from elsewhere may hold what was masked; and the ids of answers and feedback: in UTF-8, UTF-16 and GB 18030 (GBK). Lines
that are shorter than `FEWEST_BYTES` are what anybody may write.
"""

from __future__ import annotations

import json
import mmap
import os
import re
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from strop.runs.files import replace_bytes, writing

FEWEST_BYTES, FEWEST_OF_ID = 12, 6
"""Of a line, and of an id or a name."""
_CUT = re.compile(r"<[A-Z]+ [1-9][0-9]*>|[\r\n]+")
"""A placeholder, or the end of a line."""
ENCODINGS = ("utf-8", "utf-16-le", "utf-16-be", "gb18030")
_IN_NO_TEXT = re.compile("[\x00-\x08\x0e-\x1a\x1c-\x1f]")
"""Control characters: bytes that read like this in another encoding than UTF-8 are no text in it."""
SQLITE = b"SQLite format 3\0"
WEIGHTS = (".safetensors",)
"""Numbers alone."""


@dataclass(frozen=True)
class Needles:
    """What is searched for, as texts, and in all encodings."""

    texts: tuple[str, ...]

    @cached_property
    def all(self) -> tuple[bytes, ...]:
        """The texts as bytes; half a surrogate pair has none in GB 18030."""
        encoded = (
            text.encode(encoding, "ignore" if encoding == "gb18030" else "surrogatepass")
            for text in self.texts
            for encoding in ENCODINGS
        )
        return tuple(dict.fromkeys(encoded))

    def are_in(self, file: Path) -> bool:
        """Whether one of them stands in a file. What is deleted meanwhile holds none."""
        try:
            if not self.all or file.stat().st_size == 0:
                return False
            with file.open("rb") as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as held:
                return any(held.find(needle) >= 0 for needle in self.all)
        except FileNotFoundError:
            return False

    def are_in_line(self, line: str) -> bool:
        """Whether one of them stands in a line."""
        return any(text in line for text in self.texts)


def needles_of(texts: Iterable[str], ids: Iterable[str], others: Iterable[str]) -> Needles:
    """What to search for: these texts but for lines that others wrote too, and these ids."""
    common = {line for text in others for line in lines_of(text)}
    wanted = [line for text in texts for line in lines_of(text) if line not in common]
    long = [line for line in wanted if _bytes(line) >= FEWEST_BYTES] + [id for id in ids if _bytes(id) >= FEWEST_OF_ID]
    return Needles(tuple(dict.fromkeys(form for one in long for form in _forms(one))))


def _bytes(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))


def lines_of(text: str) -> list[str]:
    """The lines of a text, cut where something is masked, without spaces around."""
    return [line.strip() for line in _CUT.split(text) if line.strip()]


def _forms(text: str) -> Iterator[str]:
    """As it is, and as JSON writes it, with and without escapes."""
    yield text
    yield json.dumps(text)[1:-1]
    yield json.dumps(text, ensure_ascii=False)[1:-1]


def files_in(folder: Path) -> list[Path]:
    """All files of a folder but weights, also those to which links lead; no folder twice, and first as what it is."""
    found, seen, links = list[Path](), set[str](), [folder]
    while links:
        for here, folders, names in os.walk(links.pop(0)):
            if (real := os.path.realpath(here)) in seen:
                folders.clear()
                continue
            seen.add(real)
            found += [Path(here) / name for name in names]
            links += [Path(here) / name for name in folders if (Path(here) / name).is_symlink()]
    return sorted(file for file in found if file.is_file() and file.suffix not in WEIGHTS)


def is_beyond(file: Path, folder: Path) -> bool:
    """Whether only a link leads there: the file itself may be somebody else's."""
    return file.resolve() != folder.resolve() / file.relative_to(folder)


def is_database(file: Path) -> bool:
    """Whether it is a SQLite file."""
    with file.open("rb") as opened:
        return opened.read(len(SQLITE)) == SQLITE


def tables_of(file: Path) -> set[str]:
    """The tables of a SQLite file."""
    connection = sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)
    try:
        return {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    finally:
        connection.close()


def without_lines(file: Path, needles: Needles) -> bool:
    """Take the lines out of a text file in which one of them stands, in whichever encoding; False for what is no
    text."""
    data = file.read_bytes()
    for encoding in ENCODINGS:
        kept = _kept(data, encoding, needles)
        if kept is not None:
            with writing(file.name, file.parent):
                replace_bytes(file, kept)
            return not needles.are_in(file)
    return False


def _kept(data: bytes, encoding: str, needles: Needles) -> bytes | None:
    """The text without those lines; None if it is none in this encoding, or has none of them."""
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError:
        return None
    if encoding != "utf-8" and _IN_NO_TEXT.search(text):
        return None
    mark = "\ufeff" if text.startswith("\ufeff") else ""
    lines = text.removeprefix(mark).splitlines(keepends=True)
    kept = [line for line in lines if not needles.are_in_line(line)]
    return None if kept == lines else (mark + "".join(kept)).encode(encoding)
