"""What a compressed file holds: gzip, bzip2, xz, and zip, by how they begin."""

from __future__ import annotations

import bz2
import gzip
import lzma
import sqlite3
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any, TypeAlias

Open: TypeAlias = Callable[[Path], IO[bytes]]
STREAMS: Mapping[bytes, Open] = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ\0": lzma.open}  # type: ignore[dict-item]
ZIP = b"PK\x03\x04"
CHUNK = 1 << 20
"""So many bytes at a time."""
MOST = 1 << 32
"""Bytes that are unpacked of one file: a few thousand may hold more than a disk."""
UNREADABLE: tuple[type[Exception], ...] = (
    *(OSError, EOFError, MemoryError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, sqlite3.Error),
)
"""What reading a file raises that is closed to us, damaged, or too large."""


class Closed(OSError):
    """A zip with a password, or packed in a way that Python has not."""


class TooLarge(OSError):
    """A file holds more than `MOST` bytes."""


def is_packed(file: Path) -> bool:
    """Whether it is one of these."""
    begins = _begins(file)
    return begins.startswith((*STREAMS, ZIP))


def unpacked(file: Path) -> Iterator[bytes]:
    """What is packed in a file, piece by piece. Raises one of `UNREADABLE` for a damaged one, and for a bomb."""
    left = MOST
    for piece in _unpacked(file):
        left -= len(piece)
        if left < 0:
            raise TooLarge(f"{file} holds more than {MOST} bytes.")
        yield piece


def _unpacked(file: Path) -> Iterator[bytes]:
    begins = _begins(file)
    if begins.startswith(ZIP):
        with zipfile.ZipFile(file) as packed:
            for name in packed.namelist():
                yield name.encode("utf-8", "surrogatepass")
                with _opened(packed, name) as opened:
                    yield from pieces(opened)
        return
    for mark, open_stream in STREAMS.items():
        if begins.startswith(mark):
            with open_stream(file) as stream:
                yield from pieces(stream)


def _opened(packed: zipfile.ZipFile, name: str) -> IO[bytes]:
    try:
        return packed.open(name)
    except (RuntimeError, NotImplementedError) as error:
        raise Closed(str(error)) from error


def pieces(opened: IO[Any]) -> Iterator[bytes]:
    """What is left to read."""
    while data := opened.read(CHUNK):
        yield data


def whole_lines(of: Iterable[bytes]) -> Iterator[bytes]:
    """These pieces, cut at the ends of lines; a line that is longer than two pieces is cut where a piece ends, and what
    comes before a cut comes once more after it."""
    before = b""
    for piece in of:
        data = before + piece
        end = data.rfind(b"\n") + 1
        if not end and len(data) < 2 * CHUNK:
            before = data
            continue
        end = end or len(data)
        yield data[:end]
        before = data[end:] if data[:end].endswith(b"\n") else data[-CHUNK:]
    yield before


def _begins(file: Path) -> bytes:
    with file.open("rb") as opened:
        return opened.read(6)
