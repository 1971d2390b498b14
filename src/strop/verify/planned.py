"""The text problem of the planning checks: a vocabulary of 3 (0 ends), at most 3 tokens; 15 completions, 7 prefixes."""

from __future__ import annotations

import torch

from strop.planning.enumeration import SequenceTree, enumerate_sequences
from strop.policies.table import Table
from strop.types import Sampling, Tokens

PROMPT = (1,)
STOP = frozenset({0})


def grow(vocabulary: int, horizon: int, prefix: Tokens = ()) -> tuple[list[Tokens], list[Tokens]]:
    """(unfinished prefixes, completions), depth first."""
    if len(prefix) == horizon or (prefix and prefix[-1] == 0):
        return [], [prefix]
    prefixes: list[Tokens] = [prefix]
    completions: list[Tokens] = []
    for token in range(vocabulary):
        below = grow(vocabulary, horizon, (*prefix, token))
        prefixes, completions = prefixes + below[0], completions + below[1]
    return prefixes, completions


def normal(seed: int, size: int) -> torch.Tensor:
    return torch.randn(size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def table(seed: int, vocabulary: int = 3, horizon: int = 3, scale: float = 1.0) -> Table:
    """Normal random logits, one row a prefix, shorter prefixes first."""
    prefixes = sorted(grow(vocabulary, horizon)[0], key=lambda prefix: (len(prefix), prefix))
    policy = Table(vocabulary, capacity=len(prefixes))
    for prefix in prefixes:
        policy.row((*PROMPT, *prefix))
    with torch.no_grad():
        policy.weight.copy_(scale * normal(seed, policy.weight.numel()).view_as(policy.weight))
    return policy


def rewards(seed: int, vocabulary: int = 3, horizon: int = 3) -> dict[Tokens, float]:
    """A normal random reward for every completion, depth first."""
    completions = grow(vocabulary, horizon)[1]
    return dict(zip(completions, normal(seed, len(completions)).tolist(), strict=True))


def tree(seed: int, vocabulary: int = 3, horizon: int = 3, scale: float = 1.0) -> SequenceTree:
    """Every completion of `table`, with its probability."""
    policy = table(seed, vocabulary, horizon, scale)
    return enumerate_sequences(policy, PROMPT, Sampling(max_tokens=horizon), STOP)
