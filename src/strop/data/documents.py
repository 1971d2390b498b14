"""The documents of a corpus, cleaned and without duplicates."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import numpy as np

from strop.data.cleaning import Cleaned, cleaned
from strop.data.near import Sketches, near_duplicates
from strop.data.progress import Progress, Tell
from strop.data.reading import Raw, Reader
from strop.data.shingles import words_of
from strop.data.spool import Spool

BLOCK = 1 << 20
"""Characters of the documents that are looked at together."""
BEGINNING = 80
"""Characters of a dropped document that are listed."""
EMPTY, EXACT, NEAR = "empty", "exact duplicate", "near duplicate"


@dataclass(frozen=True, slots=True)
class Documents:
    """What is left of a corpus. `kept` are the numbers of these documents in the spool, in the order of the source.

    num_words, num_characters  of all documents that were read
    """

    spool: Spool
    kept: np.ndarray
    num_read: int
    num_words: int
    num_characters: int
    num_control: int
    num_invalid: int
    dropped: Counter[str]
    only_word: bool
    """Whether all words are the same one."""


def documents_of(reader: Reader, near: float, folder: Path, dropped: TextIO, tell: Tell, total: int) -> Documents:
    """Read, clean and compare all documents of `total` bytes. Those that are dropped are written to `dropped`."""
    spool = Spool(folder / "documents")
    sketches = Sketches(folder / "sketches", near) if near < 1.0 else None
    progress = Progress(tell, "reading", total)
    counts: Counter[str] = Counter()
    lowest, highest = 1 << 64, -1
    with spool, sketches or nullcontext():
        for block in _blocks(reader, counts, dropped):
            words = words_of([one.text for _, one in block])
            for (raw, one), num_words in zip(block, words.counts_D.tolist(), strict=True):
                spool.add(raw.place, one.text, num_words)
            if sketches:
                sketches.add(words_of([one.text for _, one in block], signs=True))
            if len(words.hashes_W):
                lowest, highest = min(lowest, int(words.hashes_W.min())), max(highest, int(words.hashes_W.max()))
            progress.at(reader.num_bytes)
    removed: Counter[str] = Counter({EMPTY: counts[EMPTY]})
    kept = _without_exact(spool, dropped, removed)
    if sketches and len(spool):
        kept = _without_near(spool, sketches, kept, near, dropped, removed, tell)
    return Documents(
        spool=spool,
        kept=kept,
        num_read=len(spool) + counts[EMPTY],
        num_words=int(spool.words_D.sum()),
        num_characters=int(spool.characters_D.sum()),
        num_control=counts["control"],
        num_invalid=counts["invalid"],
        dropped=removed,
        only_word=lowest == highest,
    )


def _blocks(reader: Reader, counts: Counter[str], dropped: TextIO) -> Iterator[list[tuple[Raw, Cleaned]]]:
    """The documents that are not empty, in blocks; what was taken from them is counted."""
    block, size = list[tuple[Raw, Cleaned]](), 0
    for raw in reader:
        one = cleaned(raw.text)
        counts["control"] += one.num_control
        counts["invalid"] += one.num_invalid
        if not one.text:
            counts[EMPTY] += 1
            _list(dropped, raw.place, EMPTY)
            continue
        block.append((raw, one))
        size += len(one.text)
        if size >= BLOCK:
            yield block
            block, size = [], 0
    if block:
        yield block


def _without_exact(spool: Spool, dropped: TextIO, removed: Counter[str]) -> np.ndarray:
    """The first document of each text."""
    _, first, which = np.unique(spool.hashes_D, return_index=True, return_inverse=True)
    copies = np.flatnonzero(first[which] != np.arange(len(spool)))
    _drop(spool, {int(copy): int(first[which[copy]]) for copy in copies}, EXACT, dropped, removed)
    return np.delete(np.arange(len(spool)), copies)


def _without_near(
    spool: Spool, sketches: Sketches, kept: np.ndarray, near: float, dropped: TextIO, removed: Counter[str], tell: Tell
) -> np.ndarray:
    """The documents that are no near duplicates of an earlier one."""
    copies = near_duplicates(spool, sketches, kept, near, tell)
    _drop(spool, copies, NEAR, dropped, removed)
    return kept[~np.isin(kept, list(copies))]


def _drop(spool: Spool, copies: dict[int, int], reason: str, dropped: TextIO, removed: Counter[str]) -> None:
    removed[reason] += len(copies)
    for copy, original in copies.items():
        place, text = spool.record(copy)
        _list(dropped, place, reason, spool.record(original)[0], text)


def _list(dropped: TextIO, place: str, reason: str, of: str = "", text: str = "") -> None:
    begins = " ".join(text[:BEGINNING].split())
    record = {"document": place, "reason": reason} | ({"of": of, "begins": begins} if of else {})
    dropped.write(json.dumps(record, ensure_ascii=False) + "\n")
