"""The annealing chain has the stationary distribution e^{score / T}, and only because of the Hastings ratio."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest

from strop.planning.annealing import Edits, Geometric, Logarithmic, anneal, transition_matrix
from strop.types import Tokens
from strop.verify.planning import EDITS, TEMPERATURE, gibbs, heights, space

pytestmark = pytest.mark.matrix


def slow_proposals(edits: Edits, y: Tokens) -> Counter[Tokens]:
    """q(. | y): every edit applied to a list, equal results added up; an impossible kind stays."""
    kinds: list[list[Tokens]] = [[], [], []]
    for i in range(len(y)):
        kinds[0] += [(*y[:i], a, *y[i + 1 :]) for a in edits.alphabet if a != y[i]]
        kinds[2] += [(*y[:i], *y[i + 1 :])] if len(y) > edits.min_length else []
    for i in range(len(y) + 1):
        kinds[1] += [(*y[:i], a, *y[i:]) for a in edits.alphabet] if len(y) < edits.max_length else []
    distribution: Counter[Tokens] = Counter()
    total = edits.substitute + edits.insert + edits.delete
    for weight, results in zip((edits.substitute, edits.insert, edits.delete), kinds, strict=True):
        for result in results or [y]:
            distribution[result] += weight / total / len(results or [y])
    return distribution


def slow_chain(edits: Edits, sequences: list[Tokens], height: dict[Tokens, float], hastings: bool) -> np.ndarray:
    """Metropolis-Hastings from the summed proposal distribution; without the ratio it is what most code does."""
    distribution = {y: slow_proposals(edits, y) for y in sequences}
    chain = np.zeros((len(sequences), len(sequences)))
    for i, y in enumerate(sequences):
        for j, z in enumerate(sequences):
            if i != j and distribution[y][z] > 0:
                ratio = distribution[z][y] / distribution[y][z] if hastings else 1.0
                chain[i, j] = distribution[y][z] * min(1.0, math.exp((height[z] - height[y]) / TEMPERATURE) * ratio)
        chain[i, i] = 1.0 - chain[i].sum()
    return chain


def stationary(chain: np.ndarray) -> np.ndarray:
    """By the linear system, not by iteration."""
    size = len(chain)
    system = np.vstack([chain.T - np.eye(size), np.ones(size)])
    return np.linalg.lstsq(system, np.array([0.0] * size + [1.0]), rcond=None)[0]


@pytest.mark.parametrize("edits", EDITS, ids=str)
def test_the_stationary_distribution_is_that_of_the_score(edits: Edits) -> None:
    sequences = space(edits)
    height = heights(sequences)
    chain = transition_matrix(sequences, height.__getitem__, edits, TEMPERATURE)
    distribution = gibbs(sequences, height)
    assert np.abs(chain.sum(axis=1) - 1.0).max() < 1e-15
    assert chain.min() >= 0.0
    assert np.abs(distribution @ chain - distribution).max() < 2e-16  # 3e-17 on strings over two letters
    flow = distribution[:, None] * chain
    assert np.abs(flow - flow.T).max() < 1e-16  # detailed balance
    if edits.substitute > 0 or edits.min_length == 0:
        assert np.abs(stationary(chain) - distribution).max() < 1e-13  # and no other distribution is stationary
    assert np.abs(chain - slow_chain(edits, sequences, height, hastings=True)).max() < 1e-15


@pytest.mark.parametrize("flat", [True, False])
def test_without_the_ratio_long_sequences_are_left_out(flat: bool) -> None:
    sequences = space(EDITS[0])
    height = dict.fromkeys(sequences, 0.0) if flat else heights(sequences)
    distribution = gibbs(sequences, height)
    tilted = distribution * np.array([2.0 ** -len(y) for y in sequences])
    tilted /= tilted.sum()
    naive = stationary(slow_chain(EDITS[0], sequences, height, hastings=False))
    assert np.abs(naive - tilted).max() < 1e-13
    distance = 0.5 * np.abs(naive - distribution).sum()
    # flat: a quarter on each of the four lengths, where 12 of the 15 strings have length 2 or 3: 12/15 - 2/4
    assert abs(distance - 0.3) < 1e-13 if flat else distance > 0.15


@pytest.mark.parametrize("edits", EDITS[:2], ids=str)
def test_proposals_are_drawn_from_their_distribution(edits: Edits) -> None:
    rng, total = np.random.default_rng(0), 3000
    for y in (space(edits)[0], space(edits)[-1], tuple(edits.alphabet[:2])):
        distribution = slow_proposals(edits, y)
        counts = Counter(edits.propose(y, rng).result for _ in range(total))
        assert set(counts) <= set(distribution)
        z = [(counts[x] - total * p) / math.sqrt(total * p * (1 - p)) for x, p in distribution.items() if 0 < p < 1]
        assert max(map(abs, z)) < 4.0
        for _ in range(50):
            move = edits.propose(y, rng)
            if move.result != y:
                back = slow_proposals(edits, move.result)[y] / distribution[move.result]
                assert move.log_ratio == pytest.approx(math.log(back), abs=1e-12)


def test_a_walk_at_fixed_temperature_has_the_stationary_distribution() -> None:
    sequences = space(EDITS[0])
    height = heights(sequences)
    rng, y, counts = np.random.default_rng(1), (), Counter[Tokens]()
    for _ in range(3000):
        y = anneal(y, height.__getitem__, EDITS[0], lambda step: TEMPERATURE, 3, rng).last
        counts[y] += 1
    seen = np.array([counts[y] for y in sequences]) / 3000
    assert 0.5 * np.abs(seen - gibbs(sequences, height)).sum() < 0.06


def test_schedules_by_hand() -> None:
    assert [Logarithmic(2.0)(k) for k in (1, 2)] == [2.0 / math.log(2.0), 2.0 / math.log(3.0)]
    assert [Geometric(8.0, 0.5, 1.5)(k) for k in (1, 2, 3, 4)] == [8.0, 4.0, 2.0, 1.5]


def test_the_best_sequence_is_kept_though_the_walk_leaves_it() -> None:
    edits = Edits(alphabet=(1, 2), max_length=3)
    found = anneal((1, 2), lambda y: float(y == (1, 2)), edits, lambda step: 1e6, 200, np.random.default_rng(0))
    assert (found.best, found.score) == ((1, 2), 1.0)
    assert found.last != (1, 2)
    assert 0 < found.accepted <= 200


def trap(y: Tokens) -> float:
    """The empty sequence is a hill of its own; the summit is (2, 1, 2, 1), behind worse sequences."""
    if not y:
        return 0.5
    return sum(a == b for a, b in zip(y, (2, 1, 2, 1), strict=False)) / 4 - abs(len(y) - 4) / 2


@pytest.mark.parametrize("seed", range(3))
def test_annealing_finds_the_summit_that_climbing_misses(seed: int) -> None:
    edits, rng = Edits(alphabet=(1, 2, 3), max_length=5), np.random.default_rng(seed)
    climbed = anneal((), trap, edits, lambda step: 1e-6, 1000, rng)
    assert (climbed.best, climbed.last) == ((), ())
    annealed = anneal((), trap, edits, Geometric(1.0, 0.995, 0.01), 1500, rng)
    assert (annealed.best, annealed.score) == ((2, 1, 2, 1), 1.0)
    assert annealed.last == (2, 1, 2, 1)


@pytest.mark.learning
def test_annealing_finds_the_optimum_in_99_of_100_runs() -> None:
    edits = Edits(alphabet=(0, 1, 2), max_length=3)
    height = heights(space(edits))
    best = max(height, key=height.__getitem__)
    runs = [
        anneal((0,), height.__getitem__, edits, Geometric(2.0, 0.9973, 0.01), 2000, np.random.default_rng(seed))
        for seed in range(100)
    ]
    assert sum(run.best == best for run in runs) >= 99
