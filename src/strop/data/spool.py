"""Cleaned documents on disk, with what is known of each in columns: a corpus may be larger than the memory."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterable, Iterator
from io import BufferedWriter
from pathlib import Path
from typing import Self

import numpy as np

SEPARATOR = "\0"
"""Stands between a document's place and its text: cleaned texts hold no control characters."""


class Spool:
    """Documents in the order in which they were added, in one file. They are added within a `with`, and read after it.

    hashes_D  64 bits of the hash of each text       offsets_D  [D + 1]: where each begins in the file
    characters_D, words_D  its size
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self._out: BufferedWriter = file.open("wb")
        self._hashes, self._offsets = array("Q"), array("Q", [0])
        self._characters, self._words = array("Q"), array("Q")

    def add(self, place: str, text: str, num_words: int) -> None:
        """Append a document."""
        encoded = text.encode()
        written = self._out.write(f"{place}{SEPARATOR}".encode("utf-8", "surrogateescape") + encoded)
        self._offsets.append(self._offsets[-1] + written)
        self._hashes.append(int.from_bytes(hashlib.blake2b(encoded, digest_size=8).digest(), "little"))
        self._characters.append(len(text))
        self._words.append(num_words)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._out.close()
        self.hashes_D = np.frombuffer(self._hashes, np.uint64)
        self.offsets_D = np.frombuffer(self._offsets, np.int64)
        self.characters_D = np.frombuffer(self._characters, np.int64)
        self.words_D = np.frombuffer(self._words, np.int64)

    def __len__(self) -> int:
        return len(self._hashes)

    def record(self, number: int) -> tuple[str, str]:
        """(place, text) of one document."""
        return next(self.records([number]))

    def records(self, numbers: Iterable[int]) -> Iterator[tuple[str, str]]:
        """(place, text) of these documents; fastest in the order in which they were added."""
        with self.file.open("rb") as file:
            for number in numbers:
                start, end = self.offsets_D[number : number + 2].tolist()
                file.seek(start)
                place, _, text = file.read(end - start).decode("utf-8", "surrogateescape").partition(SEPARATOR)
                yield place, text

    def texts(self, numbers: Iterable[int]) -> Iterator[str]:
        """The texts of these documents."""
        return (text for _, text in self.records(numbers))
