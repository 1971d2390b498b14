"""Long runs of words that held-out documents share with training documents: quotations, headers, leaks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeAlias

import numpy as np

from strop.data.facts import Shared
from strop.data.shingles import Words, shingles, words_of

LENGTH = 13
"""Words of a run, as in the check of GPT-3 (Brown et al. 2020, 2005.14165, appendix C)."""
EXAMPLES = 3
MOST_BITS, SPARE_BITS = 27, 6
"""Of the table that a run is looked up in first, as most are in no held-out text: it has 64 places a run, and 128 MB at
most."""
Texts: TypeAlias = Callable[[], Iterable[str]]
"""Gives the texts again each time."""


def shared_runs(held_out: Texts, train: Texts) -> Shared:
    """How many held-out documents share a run with a training document, and some of these runs."""
    known = np.unique(np.concatenate([_runs(words_of(block))[0] for block in blocks(held_out())]))
    bits = min(MOST_BITS, len(known).bit_length() + SPARE_BITS)
    table = np.zeros(1 << bits, np.bool_)
    table[_short(known, bits)] = True
    found = [np.zeros(0, np.uint64)]
    for block in blocks(train()):
        runs = _runs(words_of(block))[0]
        likely = runs[table[_short(runs, bits)]]
        found.append(np.unique(likely[_is_in(likely, known)]))
    shared = np.unique(np.concatenate(found))
    documents, examples = 0, list[str]()
    for block in blocks(held_out()):
        words = words_of(block)
        runs, at = _runs(words)
        at = at[_is_in(runs, shared)]
        owners, first = np.unique(np.searchsorted(words.ends_D, at, side="right"), return_index=True)
        documents += len(owners)
        for owner, word in zip(owners[:EXAMPLES].tolist(), at[first[:EXAMPLES]].tolist(), strict=True):
            examples.append(_words_from(block[owner], words, owner, word))
    return Shared(length=LENGTH, documents=documents, examples=tuple(dict.fromkeys(examples))[:EXAMPLES])


def blocks(texts: Iterable[str], size: int = 1 << 20) -> Iterator[list[str]]:
    """The texts in lists of about `size` characters."""
    held, total = list[str](), 0
    for text in texts:
        held.append(text)
        total += len(text)
        if total >= size:
            yield held
            held, total = [], 0
    if held:
        yield held


def _runs(words: Words) -> tuple[np.ndarray, np.ndarray]:
    return shingles(words, LENGTH, shorter=False)


def _short(runs: np.ndarray, bits: int) -> np.ndarray:
    """The first bits of each run's hash: its place in the table."""
    return (runs >> np.uint64(64 - bits)).astype(np.int64)


def _is_in(runs: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Which of the runs are known; `known` is sorted."""
    if not len(known):
        return np.zeros(len(runs), np.bool_)
    found = np.searchsorted(known, runs).clip(max=len(known) - 1)
    return np.asarray(known[found] == runs)


def _words_from(text: str, words: Words, document: int, word: int) -> str:
    """The run that begins at this word of a block, as its document writes it."""
    after = word + LENGTH
    end = words.at_W[after] if after < words.ends_D[document] else len(text)
    return " ".join(text[words.at_W[word] : end].split())
