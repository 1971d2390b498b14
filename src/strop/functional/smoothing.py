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
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from strop.functional.ngrams import Contexts, Numbers, Run

Floats: TypeAlias = "np.ndarray[tuple[int, ...], np.dtype[np.float64]]"
LEAST = float(np.finfo(np.float64).tiny)
"""What a probability is at least, so that its logarithm is finite."""


@dataclass(frozen=True, slots=True)
class Level:
    """The n-grams of one length [M], sorted, and the sums of the counts before each of them and of all [M + 1].

    `span` is the number of contexts of that length, `base` that of the digits.
    """

    ngrams_M: Numbers
    upto: Floats
    base: int
    span: int
    discount: float
    prior: float

    @classmethod
    def of(cls, ngrams_M: Numbers, counts_M: Numbers, base: int, length: int, discount: float, prior: float) -> Level:
        """The level of n-grams that are `length` tokens long."""
        upto = np.concatenate([[0.0], np.cumsum(counts_M, dtype=np.float64)])
        return cls(ngrams_M, upto, base, base ** (length - 1), discount, prior)

    def after(self, contexts_N: Numbers) -> tuple[Numbers, Numbers]:
        """Where the n-grams of each context begin and end."""
        own_N = contexts_N % self.span
        return self.ngrams_M.searchsorted(own_N * self.base), self.ngrams_M.searchsorted((own_N + 1) * self.base)

    def shares(self, first_N: Numbers, last_N: Numbers) -> tuple[Floats, Floats]:
        """The denominator of each context, and the share that it leaves to the shorter one: all if it was not seen."""
        total_N = self.upto[last_N] - self.upto[first_N] + self.prior
        freed_N = self.discount * (last_N - first_N) + self.prior
        is_known_N = total_N > 0.0
        total_N = np.where(is_known_N, total_N, 1.0)
        return total_N, np.where(is_known_N, freed_N / total_N, 1.0)

    def counts(self, at_E: Numbers) -> Floats:
        """The discounted counts of these n-grams."""
        return self.upto[at_E + 1] - self.upto[at_E] - self.discount


@dataclass(frozen=True, slots=True)
class Interpolated:
    """The distribution after any context: that of no context [V], and the levels from short contexts to long ones.

    An n-gram that a level holds ends with one that the level before it holds.
    """

    lowest_V: Floats
    levels: Sequence[Level]

    def logprobs(self, contexts_N: Numbers) -> Floats:
        """The logarithms [N, V] of the probabilities of every token.

        Only tokens that the shortest context has been seen with are computed one by one; all others have their
        probability without a context, times one number.
        """
        size = len(self.lowest_V)
        logprobs_NV = np.empty((len(contexts_N), size))
        scale_N, cells_E, probs_E = np.ones(len(contexts_N)), np.empty(0, np.int64), np.empty(0)
        for i, level in enumerate(self.levels):
            first_N, last_N = level.after(contexts_N)
            total_N, share_N = level.shares(first_N, last_N)
            row_D, at_D = _ranges(first_N, last_N)
            cells_D = row_D * size + level.ngrams_M[at_D] % level.base
            if i == 0:
                cells_E, probs_E = cells_D, self.lowest_V[cells_D % size]
            scale_N *= share_N
            probs_E *= share_N[cells_E // size]
            probs_E[cells_E.searchsorted(cells_D)] += level.counts(at_D) / total_N[row_D]
        np.add(_log(self.lowest_V), _log(scale_N)[:, None], out=logprobs_NV)
        logprobs_NV.reshape(-1)[cells_E] = _log(probs_E)
        return logprobs_NV

    def probs_of(self, contexts_N: Numbers, tokens_N: Numbers) -> Floats:
        """The probability [N] of one token after each context."""
        probs_N = self.lowest_V[tokens_N]
        for level in self.levels:
            ngrams_N = contexts_N % level.span * level.base + tokens_N
            first_N, last_N = level.after(contexts_N)
            total_N, share_N = level.shares(first_N, last_N)
            at_N = level.ngrams_M.searchsorted(ngrams_N)
            is_seen_N = level.ngrams_M.take(at_N, mode="clip") == ngrams_N
            counts_N = np.where(is_seen_N, level.counts(np.where(is_seen_N, at_N, 0)), 0.0)
            probs_N = counts_N / total_N + share_N * probs_N
        return probs_N


def add_k(seen: Run, contexts: Contexts, vocabulary: int, k: float) -> Interpolated:
    """(c(hw) + k) / (c(h) + kV)."""
    level = Level.of(*seen, contexts.base, contexts.order, 0.0, k * vocabulary)
    return _interpolated(np.full(vocabulary, 1.0 / vocabulary), [level])


def kneser_ney(seen: Run, contexts: Contexts, vocabulary: int, discount: float | None) -> Interpolated:
    """Interpolated Kneser-Ney; without a discount each level has its own."""
    ngrams_M, counts_M = seen
    levels: list[Level] = []
    for length in range(contexts.order, 0, -1):
        if length < contexts.order:  # how many different tokens stood before each of the shorter n-grams
            ngrams_M, counts_M = np.unique(ngrams_M % contexts.base**length, return_counts=True)
        own = discount_of(counts_M) if discount is None else discount
        levels.insert(0, Level.of(ngrams_M, counts_M, contexts.base, length, own, 0.0))
    unseen_V = np.ones(vocabulary)
    unseen_V[levels[0].ngrams_M] = 0.0
    num_unseen = unseen_V.sum()
    if not num_unseen:
        levels[0] = replace(levels[0], discount=0.0)
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
        lowest_V = Interpolated(lowest_V, levels[:1]).probs_of(np.zeros_like(tokens_V), tokens_V)
        levels = levels[1:]
    return Interpolated(lowest_V, levels)


def _ranges(first_N: Numbers, last_N: Numbers) -> tuple[Numbers, Numbers]:
    """(n, i) of every i in first[n] .. last[n] - 1, range by range."""
    length_N = last_N - first_N
    row_E = np.repeat(np.arange(len(first_N)), length_N)
    before_N = np.cumsum(length_N) - length_N
    return row_E, np.arange(len(row_E)) + (first_N - before_N)[row_E]


def _log(probs: Floats) -> Floats:
    logs: Floats = np.log(np.maximum(probs, LEAST))
    return logs
