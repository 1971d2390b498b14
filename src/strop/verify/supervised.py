"""SFT on a table, against counts of the data."""

from __future__ import annotations

import math
from collections import Counter

import torch

from strop.algorithms.sft import SFT
from strop.optimizer import SGD
from strop.types import Pick, Sampling, Tokens
from strop.verify.checks import Gap
from strop.verify.episodes import episode, turn
from strop.verify.tree import PROMPT, Tree, ascent, set_weights, table_tree

DATA: tuple[Tokens, ...] = ((1, 0), (1, 0), (1, 2, 0), (2, 1, 1), (2, 0), (0,), (1, 1, 0), (1, 1, 2), (2, 2, 0))


def _counts(tree: Tree) -> dict[Tokens, Counter[int]]:
    """How often each token follows each state in DATA."""
    counts = {state: Counter[int]() for state in tree.states}
    for y in DATA:
        for t, token in enumerate(y):
            counts[y[:t]][token] += 1
    return counts


def _demonstrations() -> list[Pick]:
    return [Pick(episode(turn(PROMPT, y, None), id=str(i))) for i, y in enumerate(DATA)]


def check_sft_gradient() -> Gap:
    """SFT: (counts - visits * pi) over the number of tokens, in every state."""
    tree = table_tree(3, 3, seed=1)
    algorithm = SFT.Config(optimizer=SGD(lr=1.0)).build(tree.policy, Sampling(temperature=0.5), 4096)
    got = ascent(tree, algorithm, _demonstrations()).view_as(tree.policy.weight)
    expected, num_tokens = torch.zeros_like(got), sum(len(y) for y in DATA)
    for state, seen in _counts(tree).items():
        weights = [math.exp(z) for z in tree.policy.weight[tree.policy.contexts[PROMPT + state]].tolist()]
        for token, weight in enumerate(weights):
            pull = seen[token] - seen.total() * weight / sum(weights)
            expected[tree.policy.contexts[PROMPT + state], token] = pull / num_tokens
    return Gap(float((got - expected).abs().max()), 1e-12)


def check_sft_stands() -> Gap:
    """SFT: zero step at the maximum-likelihood table."""
    tree = table_tree(3, 3)
    weight = torch.zeros_like(tree.policy.weight)
    for state, seen in _counts(tree).items():
        if seen:
            row = [math.log(seen[token]) if seen[token] else -745.0 for token in range(3)]  # exp(-745) is nearly 0
            weight[tree.policy.contexts[PROMPT + state]] = torch.tensor(row, dtype=torch.float64)
    set_weights(tree.policy, weight.flatten())
    algorithm = SFT.Config(optimizer=SGD(lr=1.0)).build(tree.policy, Sampling(), 4096)
    return Gap(float(ascent(tree, algorithm, _demonstrations()).abs().max()), 1e-12)
