"""MaxRL: maximum-likelihood reinforcement learning, for answers that are right or wrong.

Tajwar et al. 2026 (2602.02710) algorithm 1, for rewards of 0 and 1 over the G answers to one prompt:

    A_i = (r_i - mean(r)) / mean(r), 0 where none is right
    loss = -(1/B) sum_i A_i sum_t log pi(y_it)

The mean of A_i grad log pi(y_i) is the mean score function of the right answers minus that of all. With p = P(right),
its expectation over all groups is exactly the gradient of the expansion of log p up to order G - 1:

    - sum_{k=1..G-1} (1 - p)^k / k        (order 1 is RLOO, all of them are log p)

So a rarely solved prompt has about 1/p times the gradient that it has in RLOO. Without the baseline, the mean score
function of the right answers is order G: the baseline costs one order, since groups without a right answer give 0.

Differs from the paper: one step per batch, so there is no ratio and no clip. KL in the reward is subtracted afterwards,
minus its mean over the group: the advantage stays that of 0/1 rewards, and the KL has the same weight for every prompt.
Degenerates: rewards other than 0 and 1 are refused. Two answers per prompt give RLOO. A group that is all right or all
wrong gives exactly 0. A single right answer among many has the advantage G - 1: take small steps.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

from strop.functional.advantages import centred_penalty, group_mean
from strop.functional.aggregation import sequence_sum, spread
from strop.functional.objectives import policy_gradient
from strop.learners.policy_gradient import PolicyGradient, PolicyGradientConfig
from strop.optimizer import SGD, AdamW
from strop.types import Batch, Extras, Policy, Sampling


def over_the_mean(return_E: Tensor, group_E: Tensor) -> Tensor:
    """(r - mean) / mean over the group [E]; 0 where the mean is 0, and for an Unscored episode."""
    centred_E = group_mean(return_E, group_E)
    mean_E = return_E - centred_E
    return torch.where(centred_E == 0, 0.0, centred_E / mean_E)


def success_relative(batch: Batch, penalty_BT: Tensor) -> Tensor:
    """[B, T]: `over_the_mean` of each episode, minus its centred KL penalty."""
    _require_right_or_wrong(batch.return_E)
    return spread(over_the_mean(batch.return_E, batch.group_E) - centred_penalty(batch, penalty_BT), batch)


class MaxRL:
    """One gradient step per batch, on 0/1 returns over the share of right answers in their group."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Config(PolicyGradientConfig):
        """The options of every policy-gradient method."""

        extras: ClassVar[Extras] = Extras(least=2)
        optimizer: AdamW | SGD = field(default_factory=lambda: AdamW(lr=1e-6))

        def build(self, policy: Policy, sampling: Sampling, micro_tokens: int, seed: int = 0) -> PolicyGradient:
            return PolicyGradient(
                "MaxRL",
                self,
                policy,
                sampling,
                micro_tokens,
                advantage=success_relative,
                weight=sequence_sum,
                loss=policy_gradient,
            )


def _require_right_or_wrong(return_E: Tensor) -> None:
    """Refuse returns other than 0 and 1: with a negative mean the advantage changes its sign."""
    other_E = return_E[~return_E.isnan() & (return_E != 0.0) & (return_E != 1.0)]
    if len(other_E):
        raise ValueError(
            f"MaxRL got the return {other_E[0].item()}: it maximises the probability of a right answer, so the "
            "return of an episode must be 1 (right) or 0 (wrong). Round the reward, or use GRPO or RLOO."
        )
