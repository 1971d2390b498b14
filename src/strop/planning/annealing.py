"""Simulated annealing over sequences: a random walk of small edits that accepts worse scores ever more rarely.

Metropolis 1953; Hastings 1970; Kirkpatrick 1983. At temperature T an edit y -> y' with proposal distribution q is
accepted with

    min(1, e^{(score(y') - score(y)) / T} * q(y | y') / q(y' | y))

The chain's stationary distribution at fixed T is then proportional to e^{score / T} over all sequences that edits
reach.

The edits: substitute a token, insert one, delete one. There are (n + 1) A insertions into n tokens over an alphabet of
A, and n + 1 deletions back, so q(y | y') / q(y' | y) = A * delete / insert for an insertion, its inverse for a
deletion, and 1 for a substitution. Runs of equal tokens (several edits, one result) cancel in the ratio. An impossible
edit leaves the sequence unchanged.

Differs from the papers: UPSA (1909.03588) proposes by a language model; here proposals are uniform.
Degenerates: without the ratio (most code has none) long sequences are suppressed by A^-length. With the schedule c /
ln(k + 1) and c at least the deepest barrier, the probability of being at the optimum tends to 1 (Hajek 1988), too
slowly for practice; the geometric schedule has no such guarantee, so the best sequence seen is kept.
"""

from __future__ import annotations

import math
from bisect import bisect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np

from strop.functional.bounds import check_not_negative, check_positive, check_positive_share
from strop.planning.mdp import Floats
from strop.types import Schedule, Tokens, check_fields

Score = Callable[[Tokens], float]
SUBSTITUTE, INSERT, DELETE = range(3)


@dataclass(frozen=True, slots=True)
class Move:
    """One edit: its result, and ln q(y | y') - ln q(y' | y)."""

    result: Tokens
    log_ratio: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Edits:
    """Sequences of `min_length` to `max_length` tokens of `alphabet`; `substitute`, `insert`, `delete` are weights."""

    alphabet: Sequence[int]
    max_length: int
    min_length: int = 0
    substitute: float = 1.0
    insert: float = 1.0
    delete: float = 1.0

    def __post_init__(self) -> None:
        check_fields(self)
        if len(set(self.alphabet)) != len(self.alphabet) or not self.alphabet:
            raise ValueError(f"edits.alphabet={self.alphabet}: it needs at least one token, each of them once.")
        if not 0 <= self.min_length <= self.max_length:
            raise ValueError(
                f"edits.min_length={self.min_length}, edits.max_length={self.max_length}: the first is 0 or above, "
                "and the second no less."
            )
        for name in ("substitute", "insert", "delete"):
            check_not_negative(f"edits.{name}", getattr(self, name), hint="it is a weight")
        if sum(self.weights) == 0.0:
            raise ValueError(f"edits have weights {self.weights}: they are not all 0.")
        if (self.insert > 0.0) != (self.delete > 0.0):
            raise ValueError(
                f"edits.insert={self.insert}, edits.delete={self.delete}: an edit that cannot be undone leaves no "
                "stationary distribution. Set both above 0, or both to 0."
            )

    @property
    def weights(self) -> tuple[float, float, float]:
        """The weights of a substitution, an insertion and a deletion."""
        return self.substitute, self.insert, self.delete

    def propose(self, sequence: Tokens, rng: np.random.Generator) -> Move:
        """Draw an edit: its kind by weight, then one of the kind's edits, all equally likely."""
        kind = bisect(list(accumulate(self.weights)), rng.random() * sum(self.weights))
        count = self._counts(sequence)[kind]
        return self._move(sequence, kind, int(rng.integers(count))) if count else Move(sequence, 0.0)

    def moves(self, sequence: Tokens) -> Iterator[tuple[float, Move]]:
        """Every edit with its probability; the rest to 1 is the probability of an impossible one."""
        for kind, count in enumerate(self._counts(sequence)):
            for index in range(count):
                yield self.weights[kind] / sum(self.weights) / count, self._move(sequence, kind, index)

    def _counts(self, sequence: Tokens) -> tuple[int, int, int]:
        """The number of possible substitutions, insertions and deletions."""
        length, size = len(sequence), len(self.alphabet)
        return (
            length * (size - 1),
            (length + 1) * size if length < self.max_length else 0,
            length if length > self.min_length else 0,
        )

    def _move(self, sequence: Tokens, kind: int, index: int) -> Move:
        if kind == SUBSTITUTE:
            at, skip = divmod(index, len(self.alphabet) - 1)
            other = self.alphabet[(self.alphabet.index(sequence[at]) + 1 + skip) % len(self.alphabet)]
            return Move((*sequence[:at], other, *sequence[at + 1 :]), 0.0)
        back = math.log(len(self.alphabet) * self.delete / self.insert)
        if kind == INSERT:
            at, token = divmod(index, len(self.alphabet))
            return Move((*sequence[:at], self.alphabet[token], *sequence[at:]), back)
        return Move((*sequence[:index], *sequence[index + 1 :]), -back)


@dataclass(frozen=True, slots=True)
class Logarithmic:
    """T_k = c / ln(k + 1) at step k = 1, 2, ...: tends to the optimum in probability if c is the deepest barrier."""

    c: float

    def __post_init__(self) -> None:
        check_fields(self)
        check_positive("Logarithmic.c", self.c)

    def __call__(self, step: int) -> float:
        return self.c / math.log(step + 1)


@dataclass(frozen=True, slots=True)
class Geometric:
    """T_k = start * ratio^(k - 1) at step k = 1, 2, ..., and never below `floor`."""

    start: float
    ratio: float = 0.99
    floor: float = 1e-3

    def __post_init__(self) -> None:
        check_fields(self)
        check_positive("Geometric.start", self.start)
        check_positive_share("Geometric.ratio", self.ratio, hint="1 keeps the temperature")
        check_positive("Geometric.floor", self.floor)

    def __call__(self, step: int) -> float:
        return max(self.start * self.ratio ** (step - 1), self.floor)


@dataclass(frozen=True, slots=True)
class Annealed:
    """The best sequence seen with its score, the last sequence, and the number of accepted edits."""

    best: Tokens
    score: float
    last: Tokens
    accepted: int


def acceptance(gain: float, log_ratio: float, temperature: float) -> float:
    """The Metropolis-Hastings probability; `gain` is score(y') - score(y)."""
    if not temperature > 0.0:
        raise ValueError(f"temperature={temperature}: it is above 0.")
    return math.exp(min(0.0, gain / temperature + log_ratio))


def anneal(
    start: Tokens, score: Score, edits: Edits, temperature: Schedule, num_steps: int, rng: np.random.Generator
) -> Annealed:
    """Walk `num_steps` edits from `start`; `temperature(k)` is that of step k = 1, 2, ..."""
    _check_start(start, edits)
    sequence, height = start, score(start)
    best, best_score, accepted = sequence, height, 0
    for step in range(1, num_steps + 1):
        move = edits.propose(sequence, rng)
        reached = score(move.result)
        if rng.random() < acceptance(reached - height, move.log_ratio, temperature(step)):
            accepted += move.result != sequence
            sequence, height = move.result, reached
        if height > best_score:
            best, best_score = sequence, height
    return Annealed(best, best_score, sequence, accepted)


def transition_matrix(sequences: Sequence[Tokens], score: Score, edits: Edits, temperature: float) -> Floats:
    """Transition probabilities [Y, Y] of the chain at a fixed temperature, over all reachable sequences."""
    index = {sequence: i for i, sequence in enumerate(sequences)}
    height_Y = [score(sequence) for sequence in sequences]
    chain_YY = np.zeros((len(index), len(index)))
    for sequence, i in index.items():
        for probability, move in edits.moves(sequence):
            j = index[move.result]
            chain_YY[i, j] += probability * acceptance(height_Y[j] - height_Y[i], move.log_ratio, temperature)
        chain_YY[i, i] += 1.0 - chain_YY[i].sum()
    return chain_YY


def _check_start(start: Tokens, edits: Edits) -> None:
    if not edits.min_length <= len(start) <= edits.max_length or not set(start) <= set(edits.alphabet):
        raise ValueError(
            f"start={start}: the edits know {edits.min_length} to {edits.max_length} tokens of {list(edits.alphabet)}."
        )
