"""Short texts that are alike: all pairs above a similarity, without missing any.

Two texts are compared by their runs of two words (a character is a word where a script writes no spaces), by the
Jaccard similarity. MinHash finds almost all pairs of long documents; here none may be missed, and an exact filter is
as fast: of two sets with a Jaccard similarity of t, the rarest |x| - ceil(t |x|) + 1 elements of each share one
(prefix filtering: Chaudhuri, Ganti and Kaushik 2006; Bayardo, Ma and Srikant 2007).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from strop.data.near import jaccard
from strop.data.shingles import shingles, words_of

RUN = 2
"""Words of a run."""
SLACK = 1e-9
"""A similarity of 3/5 is no less than .6 for rounding."""


def alike(texts: Sequence[str], others: Sequence[str], near: float) -> dict[int, int]:
    """{index of one of the `others`: index of the first of the `texts` that is as similar as `near`}.

    near  a Jaccard similarity, above 0 and at most 1
    """
    assert 0.0 < near <= 1.0
    runs = [*_runs(texts), *_runs(others)]
    found: dict[int, int] = {}
    for text, other in _candidates(runs, len(texts), near).tolist():
        if other - len(texts) not in found and jaccard(runs[text], runs[other]) >= near - SLACK:
            found[other - len(texts)] = text
    return found


def _runs(texts: Sequence[str]) -> list[np.ndarray]:
    """The sorted hashes of each text's runs; of a text of one word that word."""
    if not texts:
        return []
    words = words_of(texts)
    hashes, at = shingles(words, RUN, shorter=True)
    ends = np.searchsorted(at, words.ends_D)
    return [np.unique(hashes[start:end]) for start, end in zip([0, *ends], ends, strict=False)]


def _candidates(runs: Sequence[np.ndarray], num_texts: int, near: float) -> np.ndarray:
    """[N, 2]: pairs of a text and another whose rarest runs share one, in order; both are indices into `runs`."""
    lengths_D = np.array([len(one) for one in runs], dtype=np.int64)
    if not lengths_D.sum():
        return np.zeros((0, 2), np.int64)
    _, ids, counts = np.unique(np.concatenate(runs), return_inverse=True, return_counts=True)
    rank = np.empty(len(counts), np.int64)
    rank[np.argsort(counts, kind="stable")] = np.arange(len(counts))
    owner = np.repeat(np.arange(len(runs)), lengths_D)
    order = np.lexsort((rank[ids], owner))
    ids = ids[order]
    place = np.arange(len(ids)) - np.repeat(np.cumsum(lengths_D) - lengths_D, lengths_D)
    prefix_D = np.array([n - math.ceil(near * n - SLACK) + 1 for n in lengths_D.tolist()])
    is_rare = place < np.repeat(prefix_D, lengths_D)
    texts, others = (
        (ids[chosen], owner[chosen]) for chosen in (is_rare & (owner < num_texts), is_rare & (owner >= num_texts))
    )
    by_run = np.argsort(texts[0], kind="stable")
    known = texts[0][by_run]
    first, last = (np.searchsorted(known, others[0], side=side) for side in ("left", "right"))
    spans = last - first
    within = np.arange(spans.sum()) - np.repeat(np.cumsum(spans) - spans, spans)
    text = texts[1][by_run][np.repeat(first, spans) + within]
    pairs: np.ndarray = np.unique(np.stack([text, np.repeat(others[1], spans)], axis=1), axis=0)
    return pairs
