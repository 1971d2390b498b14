"""Short texts that are alike: all pairs above a similarity, without missing any.

Two texts are compared by their runs of two words (a character is a word where a script writes no spaces), by the
Jaccard similarity. MinHash finds almost all pairs of long documents; here none may be missed, and an exact filter is
as fast: where sets have a Jaccard similarity of t, the rarest elements of each, up to those after which less than the
share t of its weight is left, have one in common (prefix filtering: Chaudhuri, Ganti and Kaushik 2006; Bayardo, Ma and
Srikant 2007).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

import numpy as np

from strop.data.near import jaccard
from strop.data.overlap import blocks
from strop.data.shingles import shingles, words_of

RUN = 2
"""Words of a run."""
SLACK = 1e-9
"""A similarity of 3/5 is no less than .6 for rounding."""
ROUNDING = 1e-6
"""Of the sum of all weights."""
TOGETHER = 1 << 22
"""Pairs that are looked at together."""
Weigh: TypeAlias = Callable[[np.ndarray], np.ndarray]
"""From the number of texts that hold a run, its weight."""


def alike(texts: Sequence[str], others: Sequence[str], near: float) -> dict[int, int]:
    """{index of one of the `others`: index of the first of the `texts` that is as similar as `near`}.

    near  a Jaccard similarity, above 0 and at most 1
    """
    runs, first = [*runs_of(texts), *runs_of(others)], len(texts)
    found: dict[int, int] = {}
    for text, other in candidates(runs, range(first), range(first, len(runs)), near):
        if other - first not in found and jaccard(runs[text], runs[other]) >= near - SLACK:
            found[other - first] = text
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


def candidates(
    runs: Sequence[np.ndarray], texts: range, others: range, near: float, weigh: Weigh = np.ones_like
) -> Iterator[tuple[int, int]]:
    """Pairs (a text, an other one) that share one of their rarest runs, and whose weights allow the similarity.

    Both are indices into `runs`; pairs come in the order of the others. By `weigh` a run counts for more than one.
    """
    assert 0.0 < near <= 1.0
    lengths_D = np.array([len(one) for one in runs], dtype=np.int64)
    if not lengths_D.sum():
        return
    ids, owner, weights_D = _rarest(runs, lengths_D, near, weigh)
    in_texts, in_others = ((owner >= some.start) & (owner < some.stop) for some in (texts, others))
    by_run = np.argsort(ids[in_texts], kind="stable")
    known, text = ids[in_texts][by_run], owner[in_texts][by_run]
    wanted, other = ids[in_others], owner[in_others]
    first, last = (np.searchsorted(known, wanted, side=side) for side in ("left", "right"))
    for part in _parts(last - first, other):
        spans = (last - first)[part]
        within = np.arange(spans.sum()) - np.repeat(np.cumsum(spans) - spans, spans)
        both = [np.repeat(other[part], spans), text[np.repeat(first[part], spans) + within]]
        pairs = np.unique(np.stack(both, axis=1), axis=0)
        weights = weights_D[pairs]
        pairs = pairs[weights.min(axis=1) >= near * weights.max(axis=1) - ROUNDING]
        yield from zip(pairs[:, 1].tolist(), pairs[:, 0].tolist(), strict=True)


def _rarest(
    runs: Sequence[np.ndarray], lengths_D: np.ndarray, near: float, weigh: Weigh
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(a number for each run, the text that it is in) of those that a similar text shares one of; weights of texts."""
    _, ids, counts = np.unique(np.concatenate(runs), return_inverse=True, return_counts=True)
    rank = np.empty(len(counts), np.int64)
    rank[np.argsort(counts, kind="stable")] = np.arange(len(counts))
    owner = np.repeat(np.arange(len(runs)), lengths_D)
    ids = ids[np.lexsort((rank[ids], owner))]
    weights = weigh(counts)[ids]
    until = np.cumsum(weights)
    weights_D = np.bincount(owner, weights, len(runs))
    ends_D = np.concatenate([[0], until])[np.cumsum(lengths_D)]
    rest = ends_D[owner] - until + weights
    is_rare = rest >= near * weights_D[owner] - ROUNDING
    return ids[is_rare], owner[is_rare], weights_D


def _parts(spans: np.ndarray, owner: np.ndarray) -> list[slice]:
    """Slices that hold all runs of an owner, and about `TOGETHER` pairs."""
    begins = np.flatnonzero(np.diff(owner, prepend=-1))
    chunk = (np.cumsum(spans) - spans)[begins] // TOGETHER
    cuts = begins[np.flatnonzero(np.diff(chunk, prepend=-1))].tolist()
    return [slice(start, end) for start, end in zip(cuts, [*cuts[1:], len(owner)], strict=False)]
