"""The files of a corpus: which there are, whether they hold text, and a hash of their contents."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path

LONGEST = 1 << 22
"""Bytes after which a line, or a document, is cut: what follows is the next one."""
SAMPLE = 1 << 16
"""How many bytes of a file are looked at, to tell whether it is text."""
FEW_INVALID, FEW_INVALID_SHARE, MOST_INVALID_SHARE = 16, 0.01, 0.3
"""Bytes that are no UTF-8, of a sample of text with some faults: no more than one of the first two, nor than the last.
More are another encoding."""
MOST_NUL = 0.001
"""The share of a sample's bytes that may be 0; a binary file has more."""
BOM = b"\xef\xbb\xbf"
UTF_16 = (b"\xff\xfe", b"\xfe\xff")


def files_of(source: Path) -> list[Path]:
    """The file itself; of a folder, all files in it and below but hidden ones, in the order of their paths."""
    if not source.is_dir():
        return [source]
    found = []
    for folder, inner, names in os.walk(source):
        inner[:] = [name for name in inner if not name.startswith(".")]
        found += [Path(folder, name) for name in names if not name.startswith(".")]
    return sorted((file for file in found if file.is_file()), key=lambda file: file.relative_to(source).parts)


def flaw_of(file: Path) -> str:
    """Why a file is no text: unreadable, empty, binary or not UTF-8. Empty for a text."""
    try:
        with file.open("rb") as opened:
            sample = opened.read(SAMPLE)
    except OSError:
        return "unreadable"
    if not sample:
        return "empty"
    if sample.count(b"\0") > MOST_NUL * len(sample) and not sample.startswith(UTF_16):
        return "binary"
    invalid = sum(0xDC80 <= ord(letter) <= 0xDCFF for letter in sample.decode("utf-8", "surrogateescape"))
    few = invalid <= max(FEW_INVALID, FEW_INVALID_SHARE * len(sample)) and invalid <= MOST_INVALID_SHARE * len(sample)
    return "" if few and not sample.startswith(UTF_16) else "not UTF-8"


def lines_of(file: BufferedReader) -> Iterator[tuple[int, bytes]]:
    """(its number, the line with its newline). A line of more than LONGEST bytes comes in pieces."""
    if file.peek(len(BOM)).startswith(BOM):
        file.read(len(BOM))
    number, rest = 1, b""
    while line := rest + file.readline(LONGEST - len(rest)):
        rest = b""
        if len(line) == LONGEST and not line.endswith(b"\n"):
            end = _end_of_characters(line)
            line, rest = line[:end], line[end:]
            if not rest and file.peek(1).startswith(b"\n"):
                line += file.read(1)  # else it would look like an empty line
        yield number, line
        number += line.endswith(b"\n")


def contents_hash(source: Path) -> str:
    """The SHA-256 of a file; of a folder, that of its files' paths and contents."""
    if not source.is_dir():
        return _file_hash(source)
    together = hashlib.sha256()
    for file in files_of(source):
        together.update(
            f"{file.relative_to(source).as_posix()}\0{_file_hash(file)}\n".encode("utf-8", "surrogateescape")
        )
    return together.hexdigest()


def _file_hash(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest()
    except OSError as error:
        return f"unreadable: {error.errno}"


def _end_of_characters(line: bytes) -> int:
    """Where the last whole UTF-8 character of these bytes ends."""
    for back in range(1, 5):
        byte = line[-back]
        if byte >= 0xC0:  # it begins a character of 2, 3 or 4 bytes
            return len(line) - back if back < 2 + (byte >= 0xE0) + (byte >= 0xF0) else len(line)
        if byte < 0x80:
            break
    return len(line)
