"""Distributions from counted n-grams, each of which mixes what was seen with a shorter context's distribution.

Every level l of context h, with the counts c of that level, the number t(h) of different tokens after h, and h' the
context without its first token, gives

    p_l(w | h) = [ (c(hw) - discount)+ + (discount t(h) + prior) p_{l-1}(w | h') ] / [ c(h) + prior ]

and p_{l-1}(w | h') where h was never seen and the prior is 0. The two that are in use:

    add-k        discount 0, prior kV, on the uniform distribution, at the longest context alone:
                 p(w | h) = (c(hw) + k) / (c(h) + kV)
    Kneser-Ney   prior 0, at every context: raw counts at the longest one, and below it continuation counts, the number
                 of different tokens that stood before an n-gram. Interpolated, with one discount a level (Kneser & Ney
                 1995; Chen & Goodman 1999, sec. 2.7)

Without a given discount each level takes n1 / (n1 + 2 n2) of its counts, where n1 and n2 n-grams were counted once and
twice (Ney et al. 1994), and 1/2 where either is 0.

Differs from the paper: the lowest level is discounted only where tokens of the vocabulary were never seen, which get
what that frees in equal shares. Chen & Goodman mix in the uniform distribution. Where all were seen it is nltk's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from strop.functional.ngrams import Contexts, Numbers, Run

Floats: TypeAlias = "np.ndarray[tuple[int, ...], np.dtype[np.float64]]"
LEAST = float(np.finfo(np.float64).tiny)
"""What a probability is at least, so that its logarithm is finite."""


@dataclass(frozen=True, slots=True)
class Level:
    """The n-grams of one length [M], sorted, and what each adds to the probability of its last token.

    Its contexts [C] are sorted too: `starts_C1` says where the n-grams of each begin, and where the last ones end,
    `shares_C` what it leaves to the shorter context. `base` is that of the digits; so long a context has `span` values.
    """

    base: int
    span: int
    ngrams_M: Numbers
    probs_M: Floats
    contexts_C: Numbers
    starts_C1: Numbers
    shares_C: Floats

    @classmethod
    def of(cls, ngrams_M: Numbers, counts_M: Numbers, base: int, length: int, discount: float, prior: float) -> Level:
        """The level of n-grams that are `length` tokens long."""
        starts_C = np.flatnonzero(np.diff(ngrams_M // base, prepend=-1))
        starts_C1 = np.append(starts_C, len(ngrams_M))
        num_C, total_C = np.diff(starts_C1), np.add.reduceat(counts_M, starts_C) + prior
        probs_M, shares_C = (counts_M - discount) / np.repeat(total_C, num_C), (discount * num_C + prior) / total_C
        return cls(base, base ** (length - 1), ngrams_M, probs_M, ngrams_M[starts_C] // base, starts_C1, shares_C)

    def after(self, contexts_N: Numbers) -> tuple[Numbers, Numbers, Floats]:
        """Where the n-grams of each context begin and end, and its share: 1 if it was not seen, and has none."""
        at_N, is_seen_N = _found(self.contexts_C, contexts_N % self.span)
        return self.starts_C1[at_N], self.starts_C1[at_N + is_seen_N], np.where(is_seen_N, self.shares_C[at_N], 1.0)

    def mixed(self, lower_N: Floats, contexts_N: Numbers, tokens_N: Numbers) -> Floats:
        """The probability [N] of a token after each context, from that after the shorter one."""
        contexts_N = contexts_N % self.span
        at_N, is_seen_N = _found(self.contexts_C, contexts_N)
        own_N, is_held_N = _found(self.ngrams_M, contexts_N * self.base + tokens_N)
        shares_N = np.where(is_seen_N, self.shares_C[at_N], 1.0)
        mixed_N: Floats = np.where(is_held_N, self.probs_M[own_N], 0.0) + shares_N * lower_N
        return mixed_N


@dataclass(frozen=True, slots=True)
class Interpolated:
    """The distribution after any context: that of no context [V], and the levels from short contexts to long ones.

    An n-gram that a level holds ends with one that the level before it holds.
    """

    lowest_V: Floats
    levels: Sequence[Level]

    def logprobs(self, contexts_N: Numbers) -> Floats:
        """The logarithms [N, V] of the probabilities of every token.

        Only tokens that were seen after the shortest context are computed one by one. All others have their probability
        without a context times one number.
        """
        size, num = len(self.lowest_V), len(contexts_N)
        scale_N, cells_E, probs_E = np.ones(num), np.empty(0, np.int64), np.empty(0)
        for i, level in enumerate(self.levels):
            first_N, last_N, share_N = level.after(contexts_N)
            row_D, at_D = _ranges(first_N, last_N)
            cells_D = row_D * size + level.ngrams_M[at_D] % level.base
            if i == 0:
                cells_E, probs_E = cells_D, self.lowest_V[cells_D % size]
            scale_N *= share_N
            probs_E *= share_N[cells_E // size]
            probs_E[cells_E.searchsorted(cells_D)] += level.probs_M[at_D]
        logprobs_NV: Floats = _log(self.lowest_V) + _log(scale_N)[:, None]
        logprobs_NV.reshape(-1)[cells_E] = _log(probs_E)
        return logprobs_NV

    def probs_of(self, contexts_N: Numbers, tokens_N: Numbers) -> Floats:
        """The probability [N] of one token after each context."""
        probs_N = self.lowest_V[tokens_N]
        for level in self.levels:
            probs_N = level.mixed(probs_N, contexts_N, tokens_N)
        return probs_N


def add_k(seen: Run, contexts: Contexts, vocabulary: int, k: float) -> Interpolated:
    """(c(hw) + k) / (c(h) + kV)."""
    level = Level.of(*seen, contexts.base, contexts.order, 0.0, k * vocabulary)
    return _interpolated(np.full(vocabulary, 1.0 / vocabulary), [level])


def kneser_ney(seen: Run, contexts: Contexts, vocabulary: int, discount: float | None) -> Interpolated:
    """Interpolated Kneser-Ney; without a discount each level has its own."""
    ngrams_M, counts_M = seen
    levels: list[Level] = []
    unseen_V = np.ones(vocabulary)
    unseen_V[ngrams_M % contexts.base] = 0.0
    num_unseen = unseen_V.sum()
    for length in range(contexts.order, 0, -1):
        if length < contexts.order:  # how many different tokens stood before each of the shorter n-grams
            ngrams_M, counts_M = np.unique(ngrams_M % contexts.base**length, return_counts=True)
        own = discount_of(counts_M) if discount is None else discount
        own = own if length > 1 or num_unseen else 0.0
        levels.insert(0, Level.of(ngrams_M, counts_M, contexts.base, length, own, 0.0))
    return _interpolated(unseen_V / max(num_unseen, 1.0), levels)


def discount_of(counts_M: Numbers) -> float:
    """n1 / (n1 + 2 n2); 1/2 where nothing was counted once, or nothing twice."""
    once, twice = int((counts_M == 1).sum()), int((counts_M == 2).sum())
    return once / (once + 2 * twice) if once and twice else 0.5


def _interpolated(lowest_V: Floats, levels: Sequence[Level]) -> Interpolated:
    """The levels that hold something, on `lowest_V`; the one without a context is worked into it."""
    levels = [level for level in levels if len(level.ngrams_M)]
    if levels and levels[0].span == 1:
        tokens_V = np.arange(len(lowest_V))
        lowest_V, levels = levels[0].mixed(lowest_V, np.zeros_like(tokens_V), tokens_V), levels[1:]
    return Interpolated(lowest_V, levels)


def _found(sorted_K: Numbers, wanted_N: Numbers) -> tuple[Numbers, np.ndarray]:
    """Where each number stands, and bool [N]: whether it does stand there."""
    at_N = np.minimum(sorted_K.searchsorted(wanted_N), len(sorted_K) - 1)
    return at_N, sorted_K[at_N] == wanted_N


def _ranges(first_N: Numbers, last_N: Numbers) -> tuple[Numbers, Numbers]:
    """(n, i) of every i in first[n] .. last[n] - 1, range by range."""
    length_N = last_N - first_N
    row_E = np.repeat(np.arange(len(first_N)), length_N)
    before_N = np.cumsum(length_N) - length_N
    return row_E, np.arange(len(row_E)) + (first_N - before_N)[row_E]


def _log(probs: Floats) -> Floats:
    logs: Floats = np.log(np.maximum(probs, LEAST))
    return logs
