"""Many short byte strings are looked for at once: where the last bytes of one stand, it is compared."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_SIZE, _BITS = 6, 20
"""Bytes that are looked up, and bits of what they are hashed to."""
_MASK = np.uint64((1 << 8 * _SIZE) - 1)
_FACTOR = np.uint64(0x9E3779B97F4A7C15)
"""2^64 by the golden ratio: the high bits of the product depend on all bits."""


@dataclass(frozen=True, slots=True)
class Grams:
    """What is looked for, by its last bytes; `short` has fewer than these."""

    known: dict[int, list[bytes]]
    table: NDArray[np.bool_]
    short: tuple[bytes, ...]

    @staticmethod
    def of(needles: Iterable[bytes]) -> Grams:
        """Of byte strings, none of them empty."""
        known, short = dict[int, list[bytes]](), list[bytes]()
        for needle in needles:
            if len(needle) < _SIZE:
                short.append(needle)
            else:
                known.setdefault(int.from_bytes(needle[-_SIZE:], "little"), []).append(needle)
        table = np.zeros(1 << _BITS, dtype=bool)
        table[_hashed(np.array(list(known), dtype=np.uint64))] = True
        return Grams(known, table, tuple(short))

    def places(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """Where which of them stands."""
        yield from ((at, needle) for needle in self.short for at in _each(needle, data))
        if not self.known or len(data) < _SIZE:
            return
        padded = data + bytes(8 - _SIZE)
        grams = np.ndarray((len(data) - _SIZE + 1,), "<u8", padded, strides=(1,)) & _MASK
        for end in np.flatnonzero(self.table[_hashed(grams)]).tolist():
            for needle in self.known.get(int(grams[end]), ()):
                at = end + _SIZE - len(needle)
                if at >= 0 and data.startswith(needle, at):
                    yield at, needle


def _hashed(grams: NDArray[np.uint64]) -> NDArray[np.uint64]:
    return (grams * _FACTOR) >> np.uint64(64 - _BITS)


def _each(needle: bytes, data: bytes) -> Iterator[int]:
    at = data.find(needle)
    while at >= 0:
        yield at
        at = data.find(needle, at + 1)
