"""What a compressed file holds: gzip, bzip2, xz, and zip, by how they begin."""

from __future__ import annotations

import bz2
import gzip
import lzma
import sqlite3
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any, TypeAlias

Open: TypeAlias = Callable[[Path], IO[bytes]]
STREAMS: Mapping[bytes, Open] = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ\0": lzma.open}  # type: ignore[dict-item]
ZIP = b"PK\x03\x04"
CHUNK = 1 << 20
"""So many bytes at a time."""
UNREADABLE: tuple[type[Exception], ...] = (
    *(OSError, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, sqlite3.Error),
    *(RuntimeError, NotImplementedError),  # a zip with a password, or packed in a way that Python has not
)
"""What reading a file raises that is closed to us, or damaged."""


def is_packed(file: Path) -> bool:
    """Whether it is one of these."""
    begins = _begins(file)
    return begins.startswith((*STREAMS, ZIP))


def unpacked(file: Path) -> Iterator[bytes]:
    """What is packed in a file, piece by piece. Raises one of `UNREADABLE` for a damaged one."""
    begins = _begins(file)
    if begins.startswith(ZIP):
        with zipfile.ZipFile(file) as packed:
            for name in packed.namelist():
                yield name.encode("utf-8", "surrogatepass")
                with packed.open(name) as opened:
                    yield from pieces(opened)
        return
    for mark, open_stream in STREAMS.items():
        if begins.startswith(mark):
            with open_stream(file) as stream:
                yield from pieces(stream)


def pieces(opened: IO[Any]) -> Iterator[bytes]:
    """What is left to read."""
    while data := opened.read(CHUNK):
        yield data


def _begins(file: Path) -> bytes:
    with file.open("rb") as opened:
        return opened.read(6)
