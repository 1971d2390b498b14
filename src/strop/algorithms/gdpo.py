"""GDPO: group reward-decoupled normalization policy optimization, for several rewards at once.

Liu et al. 2026 (2601.05242) eq. 4-6, for the rewards k = 1..K of the G answers to one prompt:

    A_ik = (r_ik - mean(r_k)) / (std(r_k) + 1e-4) over the group, each reward on its own
    A_i  = (S_i - mean(S)) / (std(S) + 1e-8) over the batch,    S_i = sum_k w_k A_ik
    loss = 1/B sum_i 1/L_i sum_t max(-rho_it A_i, -clip(rho_it, 1 - clip, 1 + clip) A_i) + kl.weight * KL_it

with w_k the weight of the reward, as in `rewards`. GRPO normalises the sum, so that the reward on the largest scale
dominates; here each counts by its weight, and a group in which two rewards differ and agree has larger advantages than
one in which only one differs.

The reward of the environment is one more reward, of weight 1. An Unscored reward of an episode is left out of that
reward's mean and std; the episode has no loss, but its other rewards count in theirs.

Differs from the paper: KL in the reward is subtracted AFTER whitening, minus its mean over the group, or its weight
would change from batch to batch. Groups in which all rewards are equal count in the batch's std and give exactly 0.
Degenerates: one reward gives GRPO's advantages, divided by their std over the batch. Whitening keeps the step large
where few groups still differ: late in a run, noise counts as much as signal did.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import torch
from torch import Tensor

from strop.functional.advantages import centred_penalty, group_normalised, has_signal, whitened
from strop.functional.aggregation import sequence_mean, spread
from strop.functional.objectives import token_objective
from strop.functional.ratios import check_clip
from strop.learners.policy_gradient import PolicyGradient, RatioConfig
from strop.types import Batch, Extras, Policy, Sampling


def decoupled(batch: Batch) -> Tensor:
    """[E]: each reward normalised in its group, their weighted sum whitened over the scored episodes; 0 for the others,
    and in groups where every reward is equal."""
    parts_KE, group_E = batch.parts_EK.unbind(1), batch.group_E
    summed_E = batch.part_weight_K @ torch.stack([group_normalised(part_E, group_E) for part_E in parts_KE])
    differs_E = torch.stack([has_signal(part_E, group_E) for part_E in parts_KE]).any(dim=0)
    return torch.where(differs_E, whitened(summed_E, batch.weight_E > 0), 0.0)


def reward_by_reward(batch: Batch, penalty_BT: Tensor) -> Tensor:
    """[B, T]: `decoupled` of each episode, minus its centred KL penalty."""
    return spread(decoupled(batch) - centred_penalty(batch, penalty_BT), batch)


class GDPO:
    """`epochs` gradient steps per batch on advantages that are normalised reward by reward."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Config(RatioConfig):
        """Options of GDPO.

        clip  clip range of a token's ratio: 1 - clip to 1 + clip
        """

        extras: ClassVar[Extras] = Extras(least=2)
        clip: float = 0.2

        def __post_init__(self) -> None:
            RatioConfig.__post_init__(self)
            check_clip(self.clip, self.clip)

        def build(self, policy: Policy, sampling: Sampling, micro_tokens: int, seed: int = 0) -> PolicyGradient:
            return PolicyGradient(
                "GDPO",
                self,
                policy,
                sampling,
                micro_tokens,
                advantage=reward_by_reward,
                weight=sequence_mean,
                loss=partial(token_objective, low=self.clip, high=self.clip),
            )
