"""Copies of what people wrote in files that no list names: found by what they hold, and taken out of them.

Searched for are the lines of each text, as they are and as JSON writes them, also between placeholders, since a copy
from elsewhere may hold what was masked; and the ids of answers and feedback. Lines that are shorter than `FEWEST_BYTES`
are what anybody may write.
"""

from __future__ import annotations

import json
import mmap
import re
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from strop.runs.files import replace_text, writing

FEWEST_BYTES, FEWEST_OF_ID = 12, 6
"""Of a line, and of an id or a name."""
_CUT = re.compile(r"<[A-Z]+ [1-9][0-9]*>|[\r\n]+")
"""A placeholder, or the end of a line."""
SQLITE = b"SQLite format 3\0"
WEIGHTS = (".safetensors",)
"""Numbers alone."""


@dataclass(frozen=True, slots=True)
class Needles:
    """What is searched for, as bytes."""

    all: tuple[bytes, ...]

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
        said = line.encode("utf-8", "surrogatepass")
        return any(needle in said for needle in self.all)


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


def _forms(text: str) -> Iterator[bytes]:
    """As UTF-8, and as JSON writes it, with and without escapes."""
    yield text.encode("utf-8", "surrogatepass")
    yield json.dumps(text)[1:-1].encode()
    yield json.dumps(text, ensure_ascii=False)[1:-1].encode("utf-8", "surrogatepass")


def files_in(folder: Path) -> list[Path]:
    """All files of a folder but weights; links are not followed."""
    found = (file for file in sorted(folder.rglob("*")) if file.is_file() and not file.is_symlink())
    return [file for file in found if file.suffix not in WEIGHTS]


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
    """Take the lines out of a text file in which one of them stands; False for what is no text."""
    try:
        text = file.read_bytes().decode("utf-8")
    except UnicodeDecodeError:
        return False
    kept: Sequence[str] = [line for line in text.splitlines(keepends=True) if not needles.are_in_line(line)]
    with writing(file.name, file.parent):
        replace_text(file, "".join(kept))
    return True
