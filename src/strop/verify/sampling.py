"""The sampler draws from exactly the distribution that the losses score."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator

import numpy as np
import torch

from strop.algorithms.reinforce import REINFORCE
from strop.batch import collate
from strop.optimizer import SGD
from strop.policies.table import Table
from strop.samplers.local import LocalSampler
from strop.types import Max, Pick, Sampling, Turn
from strop.verify.checks import Gap
from strop.verify.episodes import episode
from strop.verify.tree import PROMPT, table_tree, tiny_transformer

SAMPLINGS = {
    "the softmax": Sampling(),
    "temperature .6": Sampling(temperature=0.6),
    "epsilon .3": Sampling(epsilon=0.3),
    "epsilon-greedy": Sampling(temperature=0.0, epsilon=0.5),
    "top-k 2": Sampling(top_k=2),
    "top-p .8": Sampling(top_p=0.8),
    "temperature, top-k and epsilon": Sampling(temperature=1.5, top_k=2, epsilon=0.1),
}
DRAWS = 4000


def slow_distribution(logits: list[float], sampling: Sampling) -> list[float]:
    """The next token's probabilities in plain Python."""
    assert isinstance(sampling.temperature, float)
    assert isinstance(sampling.epsilon, float)
    if sampling.temperature == 0.0:
        probs = [float(i == logits.index(max(logits))) for i in range(len(logits))]
    else:
        weights = [math.exp(z / sampling.temperature) for z in logits]
        order = sorted(range(len(logits)), key=lambda i: -weights[i])
        kept = order[: sampling.top_k or None]
        total = sum(weights[i] for i in kept)
        nucleus, mass = [], 0.0
        for i in kept:
            if mass < sampling.top_p:
                nucleus.append(i)
            mass += weights[i] / total
        total = sum(weights[i] for i in nucleus)
        probs = [weights[i] / total if i in nucleus else 0.0 for i in range(len(logits))]
    return [(1 - sampling.epsilon) * p + sampling.epsilon / len(probs) for p in probs]


def chi_square_z(seen: Counter[tuple[int, ...]], exact: dict[tuple[int, ...], float], n: int) -> float:
    """How many standard deviations chi-square lies above its mean, over the cells that expect 5 (Wilson-Hilferty).

    (chi2 / df)^(1/3) is nearly normal; 3.7 standard deviations are p = 1e-4. Infinite where something was drawn that
    has probability 0.
    """
    if any(exact.get(y, 0.0) == 0.0 for y in seen):
        return math.inf
    cells = [(seen[y], n * p) for y, p in exact.items() if n * p >= 5]
    chi2, df = sum((count - mean) ** 2 / mean for count, mean in cells), len(cells) - 1
    return float(((chi2 / df) ** (1 / 3) - (1 - 2 / (9 * df))) / (2 / (9 * df)) ** 0.5)


def check_sampler() -> Iterator[Gap]:
    """sampler: draws whole sequences from the exact distribution (chi-square, in standard deviations)."""
    for name, named in SAMPLINGS.items():
        tree = table_tree(3, 3, seed=0, scale=0.7)
        rows = {s: tree.policy.weight[tree.policy.contexts[PROMPT + s]].tolist() for s in tree.states}
        distributions = {s: slow_distribution(row, named) for s, row in rows.items()}
        exact = {y: math.prod(distributions[y[:t]][y[t]] for t in range(len(y))) for y in tree.sequences}
        sampler, rng = LocalSampler(tree.policy, frozenset({0}), batch=DRAWS), np.random.default_rng(1)
        sampling = Sampling(
            temperature=named.temperature,
            epsilon=named.epsilon,
            top_p=named.top_p,
            top_k=named.top_k,
            max_tokens=3,
        )
        drawn = sampler.sample([PROMPT] * DRAWS, sampling, [rng] * DRAWS)
        yield Gap(max(chi_square_z(Counter(one.tokens for one in drawn), exact, DRAWS), 0.0), 3.7, name)


def check_sampler_gap() -> Iterator[Gap]:
    """sampler: the same log-probs as the trainer's before the first step."""
    table = Table(7, order=1)
    for token in range(table.vocabulary):
        table.row((token,))  # sampling adds no rows, and unknown contexts share one
    table.weight.detach().copy_(torch.randn(table.weight.shape, generator=torch.Generator().manual_seed(0)))
    cases = (("a table", table, 1e-12), ("a transformer, with cache and left padding", tiny_transformer(), 1e-4))
    for name, policy, tolerance in cases:
        sampling = Sampling(temperature=0.8, max_tokens=6)
        prompts = [(1, 2), (3,), (4, 5, 6), (1, 2)]
        rngs = [np.random.default_rng(seed) for seed in range(len(prompts))]
        drawn = LocalSampler(policy, frozenset({0})).sample(prompts, sampling, rngs)
        episodes = [
            episode(Turn(prompt, one, ""), reward=1.0, id=str(i))
            for i, (prompt, one) in enumerate(zip(prompts, drawn, strict=True))
        ]
        algorithm = REINFORCE.Config(optimizer=SGD(lr=1e-6)).build(policy, sampling, 4096)
        gap = algorithm.update(collate(tuple(Pick(one) for one in episodes), policy.layout)).metrics
        largest = gap["policy/sampler_gap_max"]
        assert isinstance(largest, Max)
        yield Gap(largest.value, tolerance, name)
