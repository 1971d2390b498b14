"""N-grams as numbers, and how often each was seen.

An n-gram is a number in base `base` whose lowest digit is its last token; without that digit it is the context of the
token, and modulo a power of the base the shorter n-gram with which it ends. So sorted numbers hold the n-grams of a
context side by side.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from strop.types import Tokens

Numbers: TypeAlias = "np.ndarray[tuple[int, ...], np.dtype[np.int64]]"
Run: TypeAlias = "tuple[Numbers, Numbers]"
"""N-grams [M], sorted, each of them once; and how often each was seen [M]."""
TOO_LARGE = 2**63


@dataclass(frozen=True, slots=True)
class Contexts:
    """The last `order - 1` tokens as one number, which never looks beyond the beginning of a document.

    `mark` stands for all that is before a document. With an end token it is that token, which begins a document as it
    ends one: what stands before it in a row reads as further end tokens, and so does what a row is too short for.
    Without one it is a digit of its own that no token has, so a short row is a context of its own too.
    """

    order: int
    base: int
    mark: int

    @classmethod
    def of(cls, vocabulary: int, order: int, end: int | None) -> Contexts:
        """Those over token ids below `vocabulary`. Raises ValueError where an n-gram is no 64-bit number."""
        base = max(vocabulary + (end is None), 2)
        if base**order >= TOO_LARGE:
            largest = max(n for n in range(order) if base**n < TOO_LARGE)
            raise ValueError(
                f"policy.order={order}: over {vocabulary:,} tokens an n-gram has at most {largest} of them."
            )
        return cls(order, base, vocabulary if end is None else end)

    @property
    def span(self) -> int:
        """How many contexts there are."""
        span: int = self.base ** (self.order - 1)
        return span

    @property
    def beginning(self) -> int:
        """The context of the first token of a document."""
        return sum(self.mark * self.base**i for i in range(self.order - 1))

    def push(self, contexts_N: Numbers, tokens_N: Numbers) -> Numbers:
        """The contexts after one more token each."""
        pushed_N = (contexts_N * self.base + tokens_N) % self.span
        return np.where(tokens_N == self.mark, self.beginning, pushed_N)

    def before(self, tokens_BT: Numbers) -> Numbers:
        """The context [B, T] of each token."""
        contexts_BT = np.full_like(tokens_BT, self.beginning)
        for back in range(self.order - 1, 0, -1):
            contexts_BT[:, back:] = self.push(contexts_BT[:, back:], tokens_BT[:, :-back])
        return contexts_BT

    def behind(self, prompts: Sequence[Tokens]) -> Numbers:
        """The context [B] of the next token of each prompt."""
        width = self.order - 1
        marks = (self.mark,) * width
        last_BW = np.array([(marks + tuple(prompt))[len(prompt) :] for prompt in prompts], dtype=np.int64)
        contexts_B: Numbers = np.full(len(prompts), self.beginning)
        for tokens_B in last_BW.reshape(len(prompts), width).T:
            contexts_B = self.push(contexts_B, tokens_B)
        return contexts_B


@dataclass(frozen=True, slots=True)
class Counts:
    """How often each n-gram was seen, in sorted runs, each more than twice as long as the next.

    So a batch is merged into few others of its size, and adding all of a text costs little more than sorting it.
    """

    runs: tuple[Run, ...] = ()
    num_ngrams: int = 0

    @classmethod
    def of(cls, run: Run) -> Counts:
        """Those of one run, which may be empty."""
        size = _size(run)
        return cls((run,), size) if size else cls()

    def plus(self, ngrams_N: Numbers) -> Counts:
        """With these n-grams, each counted as often as it stands there."""
        if not len(ngrams_N):
            return self
        ngrams_M, counts_M = np.unique(ngrams_N, return_counts=True)
        is_known_M = np.zeros(len(ngrams_M), dtype=bool)
        for older in self.runs:
            is_known_M |= _holds(older, ngrams_M)
        runs = [*self.runs, (ngrams_M, counts_M)]
        while len(runs) > 1 and _size(runs[-2]) <= 2 * _size(runs[-1]):
            runs[-2:] = [_merged(*runs[-2:])]
        return Counts(tuple(runs), self.num_ngrams + int((~is_known_M).sum()))

    def settled(self) -> Counts:
        """The same in at most one run."""
        runs = list(self.runs)
        while len(runs) > 1:
            runs[-2:] = [_merged(*runs[-2:])]
        return Counts(tuple(runs), self.num_ngrams)

    @property
    def whole(self) -> Run:
        """All of them."""
        runs = self.settled().runs
        return runs[0] if runs else (np.empty(0, np.int64), np.empty(0, np.int64))


def _size(run: Run) -> int:
    """How many different n-grams it holds."""
    return len(run[0])


def _holds(run: Run, ngrams_N: Numbers) -> np.ndarray:
    """bool [N]: which of these stand in the run."""
    held_N: np.ndarray = run[0].take(run[0].searchsorted(ngrams_N), mode="clip") == ngrams_N
    return held_N


def _merged(one: Run, other: Run) -> Run:
    ngrams_M, counts_M = np.concatenate([one[0], other[0]]), np.concatenate([one[1], other[1]])
    order_M = np.argsort(ngrams_M, kind="stable")  # two sorted runs: it merges them in linear time
    ngrams_M, counts_M = ngrams_M[order_M], counts_M[order_M]
    first_K = np.flatnonzero(np.diff(ngrams_M, prepend=-1))
    return ngrams_M[first_K], np.add.reduceat(counts_M, first_K)
