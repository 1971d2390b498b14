"""Best-of-n: sample n completions, keep the one with the highest reward; its exact distribution and KL, and a sampler.

Stiennon 2020 (2009.01325); Beirami 2024 (2401.01879). With F(r) the probability of a reward of at most r:

    P_n(reward = r) = F(r)^n - F(r^-)^n
    P_n(y) = P_n(reward = r(y)) * p(y) / p(reward = r(y))
    KL(P_n || p) <= ln n - (n - 1) / n

Ties: of several best samples the first is kept. Samples are exchangeable, so a random one of them has the same
distribution, which is the second line. The bound is an equality only for continuous distributions.
Degenerates: n = 1 is the policy. In the limit of large n it is the policy given the highest reward, and the KL is
-ln of that reward's probability, however large the bound.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from strop.planning.enumeration import Reward
from strop.types import Completion, Sampler, Sampling, Tokens, completions_of

if TYPE_CHECKING:
    import numpy as np


def best_of_n_distribution(probs_Y: Tensor, rewards_Y: Tensor, n: int) -> Tensor:
    """P_n over the completions [Y]; `probs_Y` sums to 1."""
    _check_n(n)
    _, level_Y = torch.unique(rewards_Y, return_inverse=True)  # levels in increasing order
    level_L = probs_Y.new_zeros(int(level_Y.max()) + 1).index_add(0, level_Y, probs_Y)
    below_L = level_L.cumsum(0)
    below_L = below_L / below_L[-1]
    # F^n - (F - p)^n = F^n (1 - (1 - p / F)^n): without the difference of two nearly equal numbers
    share_L = (level_L / below_L).clamp(max=1.0)  # NaN at levels of probability 0, which are not read
    best_L = below_L.pow(n) * -torch.expm1(n * torch.log1p(-share_L))
    return torch.where(probs_Y > 0, best_L[level_Y] * probs_Y / level_L[level_Y], 0.0)


def best_of_n_kl(probs_Y: Tensor, rewards_Y: Tensor, n: int) -> float:
    """KL(P_n || p), exactly."""
    best_Y = best_of_n_distribution(probs_Y, rewards_Y, n)
    return float(torch.where(best_Y > 0, best_Y * (best_Y / probs_Y).log(), 0.0).sum())


def best_of_n_bound(n: int) -> float:
    """ln n - (n - 1) / n: the KL of a continuous distribution, and an upper bound for any other."""
    _check_n(n)
    return math.log(n) - (n - 1) / n


@dataclass(frozen=True, slots=True)
class Best:
    """The best completion, its reward, and the rewards of all n in the order of sampling."""

    completion: Completion
    reward: float
    rewards: tuple[float, ...]


def sample_best(
    sampler: Sampler, prompt: Tokens, reward: Reward, sampling: Sampling, rngs: Sequence[np.random.Generator]
) -> Best:
    """Sample one completion for each of `rngs`, and keep the first of the best."""
    _check_n(len(rngs))
    completions = completions_of(sampler.sample([prompt] * len(rngs), sampling, rngs))
    rewards = tuple(reward(completion.tokens) for completion in completions)
    if any(math.isnan(value) for value in rewards):
        raise ValueError(f"the rewards of the completions are {rewards}: NaN cannot be ranked.")
    winner = rewards.index(max(rewards))
    return Best(completions[winner], rewards[winner], rewards)


def _check_n(n: int) -> None:
    if n < 1:
        raise ValueError(f"n={n}: best-of-n needs at least 1 completion.")
