"""Short texts that are alike: all pairs above a similarity, without missing any.

Two texts are compared by their runs of two words (a character is a word where a script writes no spaces), by the
Jaccard similarity. MinHash finds almost all pairs of long documents; here none may be missed, and an exact filter is
as fast: of two sets with a Jaccard similarity of t, the rarest |x| - ceil(t |x|) + 1 elements of each share one
(prefix filtering: Chaudhuri, Ganti and Kaushik 2006; Bayardo, Ma and Srikant 2007).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from strop.data.near import jaccard
from strop.data.overlap import blocks
from strop.data.shingles import shingles, words_of

RUN = 2
"""Words of a run."""
SLACK = 1e-9
"""A similarity of 3/5 is no less than .6 for rounding."""
TOGETHER = 1 << 22
"""Pairs that are looked at together."""


def alike(texts: Sequence[str], others: Sequence[str], near: float) -> dict[int, int]:
    """{index of one of the `others`: index of the first of the `texts` that is as similar as `near`}.

    near  a Jaccard similarity, above 0 and at most 1
    """
    return {other: text for other, (text, _) in first_alike(runs_of(texts), runs_of(others), near).items()}


def first_alike(texts: Sequence[np.ndarray], others: Sequence[np.ndarray], near: float) -> dict[int, tuple[int, float]]:
    """{index of one of the `others`: (index of the first of the `texts` as similar as `near`, how similar it is)}.

    texts, others  the runs of each text, as `runs_of` gives them
    """
    found: dict[int, tuple[int, float]] = {}
    for text, other in candidates(texts, others, near):
        if other not in found and (similar := jaccard(texts[text], others[other])) >= near - SLACK:
            found[other] = (text, similar)
    return found


def runs_of(texts: Sequence[str], signs: bool = False) -> list[np.ndarray]:
    """The sorted hashes of each text's runs; of a text of one word that word. With `signs` a sign is a word too."""
    found = list[np.ndarray]()
    for block in blocks(texts):
        words = words_of(block, signs)
        hashes, at = shingles(words, RUN, shorter=True)
        ends = np.searchsorted(at, words.ends_D)
        found += [np.unique(hashes[start:end]) for start, end in zip([0, *ends], ends, strict=False)]
    return found


def candidates(texts: Sequence[np.ndarray], others: Sequence[np.ndarray], near: float) -> Iterator[tuple[int, int]]:
    """(text, other) whose rarest runs share one, and whose sizes allow the similarity; in order of the others."""
    assert 0.0 < near <= 1.0
    runs = [*texts, *others]
    lengths_D = np.array([len(one) for one in runs], dtype=np.int64)
    if not lengths_D.sum():
        return
    _, ids, counts = np.unique(np.concatenate(runs), return_inverse=True, return_counts=True)
    rank = np.empty(len(counts), np.int64)
    rank[np.argsort(counts, kind="stable")] = np.arange(len(counts))
    owner = np.repeat(np.arange(len(runs)), lengths_D)
    order = np.lexsort((rank[ids], owner))
    ids = ids[order]
    place = np.arange(len(ids)) - np.repeat(np.cumsum(lengths_D) - lengths_D, lengths_D)
    prefix_D = np.array([n - math.ceil(near * n - SLACK) + 1 for n in lengths_D.tolist()])
    is_rare = place < np.repeat(prefix_D, lengths_D)
    mine, theirs = (
        (ids[chosen], owner[chosen]) for chosen in (is_rare & (owner < len(texts)), is_rare & (owner >= len(texts)))
    )
    by_run = np.argsort(mine[0], kind="stable")
    known = mine[0][by_run]
    first, last = (np.searchsorted(known, theirs[0], side=side) for side in ("left", "right"))
    for part in _parts(last - first, theirs[1]):
        spans = (last - first)[part]
        within = np.arange(spans.sum()) - np.repeat(np.cumsum(spans) - spans, spans)
        text = mine[1][by_run][np.repeat(first[part], spans) + within]
        pairs = np.unique(np.stack([np.repeat(theirs[1][part], spans), text], axis=1), axis=0)
        sizes = lengths_D[pairs]
        pairs = pairs[sizes.min(axis=1) >= near * sizes.max(axis=1) - SLACK]
        yield from zip(pairs[:, 1].tolist(), (pairs[:, 0] - len(texts)).tolist(), strict=True)


def _parts(spans: np.ndarray, owner: np.ndarray) -> list[slice]:
    """Slices that hold all runs of an owner, and about `TOGETHER` pairs."""
    begins = np.flatnonzero(np.diff(owner, prepend=-1))
    chunk = (np.cumsum(spans) - spans)[begins] // TOGETHER
    cuts = begins[np.flatnonzero(np.diff(chunk, prepend=-1))].tolist()
    return [slice(start, end) for start, end in zip(cuts, [*cuts[1:], len(owner)], strict=False)]
