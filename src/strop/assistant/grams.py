"""Many byte strings are looked for at once: where some of their last bytes stand, they are compared.

A long one is known by each of several runs of its last bytes, so that only every so many places of a text are looked
at.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_BITS, _WORD, _CHUNK = 20, 8, 1 << 18
"""Bits of what a run is hashed to, bytes of a word, and bytes of a text at a time: what is made of them stays near."""
_FACTOR = np.uint64(0x9E3779B97F4A7C15)
"""2^64 by the golden ratio: the high bits of the product depend on all bits."""
_LONG, _SHORT = (8, 4), (5, 2)
"""Bytes of a run, and every how many places one is looked up: for strings of at least 11 bytes, and of 6."""


@dataclass(frozen=True, slots=True)
class Grams:
    """What is looked for: by runs of bytes, and what is too short for that by itself."""

    long: _Runs
    short: _Runs
    shortest: tuple[bytes, ...]

    @staticmethod
    def of(needles: Iterable[bytes]) -> Grams:
        """Of byte strings, none of them empty."""
        long, short, shortest = list[bytes](), list[bytes](), list[bytes]()
        for needle in needles:
            fits = [some for some, form in ((long, _LONG), (short, _SHORT)) if len(needle) >= sum(form) - 1]
            (fits or [shortest])[0].append(needle)
        return Grams(_Runs.of(long, *_LONG), _Runs.of(short, *_SHORT), tuple(shortest))

    def places(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """Where which of them stands."""
        yield from ((at, needle) for needle in self.shortest for at in _each(needle, data))
        yield from self.long.places(data)
        yield from self.short.places(data)


@dataclass(frozen=True, slots=True)
class _Runs:
    """Byte strings by runs of `size` of their last bytes, as many as make sure that one of them begins at a place that
    is a multiple of `step`.

    known  the strings, and where in them the run begins, by the run
    table  of all hashes, whether a run has it
    """

    size: int
    step: int
    known: dict[int, list[tuple[bytes, int]]]
    table: NDArray[np.bool_]

    @staticmethod
    def of(needles: Iterable[bytes], size: int, step: int) -> _Runs:
        known = dict[int, list[tuple[bytes, int]]]()
        for needle in needles:
            for begin in range(len(needle) - size - step + 1, len(needle) - size + 1):
                run = int.from_bytes(needle[begin : begin + size], "little")
                known.setdefault(run, []).append((needle, begin))
        table = np.zeros(1 << _BITS, dtype=bool)
        table[_hashed(np.array(list(known), dtype=np.uint64))] = True
        return _Runs(size, step, known, table)

    def places(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        if not self.known:
            return
        padded = data + bytes(_WORD - self.size)
        for first in range(0, len(data) - self.size + 1, _CHUNK):
            last = min(first + _CHUNK, len(data) - self.size + 1)
            many = -(-(last - first) // self.step)
            runs = np.ndarray((many,), "<u8", padded, first, (self.step,))
            if self.size < _WORD:
                runs = runs & np.uint64((1 << 8 * self.size) - 1)
            found = np.flatnonzero(self.table.take(_hashed(runs)))
            for place, run in zip(found.tolist(), runs[found].tolist(), strict=True):
                for needle, begin in self.known.get(run, ()):
                    at = first + place * self.step - begin
                    if at >= 0 and data.startswith(needle, at):
                        yield at, needle


def _hashed(runs: NDArray[np.uint64]) -> NDArray[np.int64]:
    product = runs * _FACTOR
    product >>= np.uint64(64 - _BITS)
    return product.view(np.int64)


def _each(needle: bytes, data: bytes) -> Iterator[int]:
    at = data.find(needle)
    while at >= 0:
        yield at
        at = data.find(needle, at + 1)
