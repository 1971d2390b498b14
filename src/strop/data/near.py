"""Near duplicates by MinHash (Broder 1997) and locality-sensitive hashing, for millions of documents.

The sketch of a document is the least value of each of 120 permutations of its shingles, which are runs of five words.
Two sketches agree in a place with the probability of the documents' Jaccard similarity. Documents whose sketches agree
in all places of a band are candidates, and their exact similarity decides: no document is dropped by chance.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Self

import numpy as np

from strop.data.progress import Progress, Tell
from strop.data.shingles import Words, mixed, shingles, words_of
from strop.data.spool import Spool
from strop.streams import stream

SHINGLE = 5
PLACES = 120
"""Permutations of a sketch."""
FOUND = 0.99
"""The least probability of finding a pair that is just similar enough."""
REMEMBERED = 128
"""How many documents' shingles are kept between comparisons: a long document has megabytes of them."""
CHUNK = 1 << 12


class Sketches:
    """The bands of each document's sketch, in a file. Documents are added within a `with`, as to the spool."""

    def __init__(self, file: Path, near: float) -> None:
        self.file = file
        self.rows = rows_for(near)
        self.num_bands = PLACES // self.rows
        self._out = file.open("wb")
        rng = stream(0, "corpus/minhash")
        self._factors = rng.integers(0, 1 << 32, PLACES, np.uint32) | np.uint32(1)
        self._terms = rng.integers(0, 1 << 32, PLACES, np.uint32)

    def add(self, words: Words) -> None:
        """Append these documents."""
        values, at = shingles(words, SHINGLE, shorter=True)
        short = (values >> np.uint64(32)).astype(np.uint32)
        first_D = np.searchsorted(at, words.ends_D - words.counts_D)
        has_words = words.counts_D > 0
        bands = np.zeros((len(has_words), self.num_bands), np.uint64)
        for place in range(self.rows * self.num_bands if has_words.any() else 0):
            permuted = short * self._factors[place] + self._terms[place]
            least = np.minimum.reduceat(permuted, first_D[has_words])
            band = place % self.num_bands
            bands[has_words, band] = mixed(bands[has_words, band] + least + np.uint64(1))
        self._out.write(bands.astype(np.uint32).tobytes())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._out.close()

    def candidates(self, documents: np.ndarray) -> np.ndarray:
        """Pairs [N, 2] of these documents that agree in a band, the earlier first, in the order of the later."""
        bands_DN = np.memmap(self.file, np.uint32, "r").reshape(-1, self.num_bands)
        found = np.zeros(0, np.uint64)
        for band in range(self.num_bands):
            keys = bands_DN[documents, band]
            order = np.argsort(keys, kind="stable")
            ordered, keys = documents[order].astype(np.uint64), keys[order]
            begins = np.flatnonzero(np.diff(keys, prepend=~keys[:1]) != 0)
            first = np.repeat(ordered[begins], np.diff(begins, append=len(keys)))
            before = np.concatenate([ordered[:1], ordered[:-1]])
            later = (first != ordered) & (keys != 0)
            pairs = [ordered[later] << np.uint64(32) | earlier[later] for earlier in (first, before)]
            found = np.unique(np.concatenate([found, *pairs]))
        return np.stack([found & np.uint64(0xFFFFFFFF), found >> np.uint64(32)], axis=1).astype(np.int64)


def near_duplicates(spool: Spool, sketches: Sketches, documents: np.ndarray, near: float, tell: Tell) -> dict[int, int]:
    """{a document to drop: the earlier one that stays, and is as similar as `near`}."""

    @lru_cache(REMEMBERED)
    def runs(document: int) -> np.ndarray:
        return np.unique(shingles(words_of([spool.record(document)[1]], signs=True), SHINGLE, shorter=True)[0])

    pairs = sketches.candidates(documents)
    progress = Progress(tell, "comparing near duplicates", len(pairs), "pairs", 1)
    copies: dict[int, int] = {}
    for start in range(0, len(pairs), CHUNK):
        progress.at(start)
        for earlier, later in pairs[start : start + CHUNK].tolist():
            kept = copies.get(earlier, earlier)
            if later not in copies and jaccard(runs(kept), runs(later)) >= near:
                copies[later] = kept
    return copies


def jaccard(one: np.ndarray, other: np.ndarray) -> float:
    """The share of the elements of two sets, given as sorted arrays, that are in both."""
    both = len(np.intersect1d(one, other, assume_unique=True))
    return both / (len(one) + len(other) - both)


def rows_for(near: float) -> int:
    """The places of a band: as many as still find a pair of this similarity, since more give fewer candidates."""
    found = [rows for rows in range(1, PLACES + 1) if 1.0 - (1.0 - near**rows) ** (PLACES // rows) >= FOUND]
    return max(found)
