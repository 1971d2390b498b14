"""Robust DPO: DPO with a loss that stays unbiased when a known share of the labels is flipped.

Chowdhury, Kini & Natarajan 2024 (2403.00409), with h = beta * [(log pi - log ref)(w) - (log pi - log ref)(l)] of DPO:

    loss = [-(1 - flipped) log sigmoid(h) + flipped log sigmoid(-h)] / (1 - 2 flipped)

If each label is wrong with probability `flipped`, the expectation over labels is exactly DPO's loss on clean ones, so
the minimiser is the clean one. (Conservative DPO has the opposite sign of the second term: it fits the noise.)

Differs from the paper: nothing; groups of more than two answers give all their strictly ordered pairs.
Degenerates: `flipped` 0 is DPO; near 1/2 the division makes the variance infinite. The loss of a single pair has no
lower bound as h goes to infinity (only the average over flipped labels has one), so a pair seen many times is pushed
without limit: use few epochs.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from torch import Tensor
from torch.nn.functional import logsigmoid

from strop.functional.bounds import check_below, check_positive
from strop.learners.preference import Answers, LogprobLoss, Preference, PreferenceConfig
from strop.types import Policy, Sampling


def robust_dpo_loss(chosen: Answers, rejected: Answers, beta: float, flipped: float) -> tuple[Tensor, Tensor]:
    """The unbiased loss, and h [P]."""
    logit_P = beta * (chosen.ratio_P - rejected.ratio_P)
    loss_P = (-(1.0 - flipped) * logsigmoid(logit_P) + flipped * logsigmoid(-logit_P)) / (1.0 - 2.0 * flipped)
    return loss_P, logit_P


class RobustDPO:
    """One gradient step per batch of pairs."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Config(PreferenceConfig):
        """Options of RobustDPO.

        beta     weight of the KL to the policy at the start: larger keeps it closer
        flipped  probability that a label is wrong
        """

        beta: float = 0.1
        flipped: float = 0.1

        def __post_init__(self) -> None:
            PreferenceConfig.__post_init__(self)
            check_positive("algorithm.beta", self.beta)
            check_below("algorithm.flipped", self.flipped, 0.5, hint="fewer than half of the labels are flipped")

        def build(self, policy: Policy, sampling: Sampling, micro_tokens: int, seed: int = 0) -> Preference:
            loss = LogprobLoss(partial(robust_dpo_loss, beta=self.beta, flipped=self.flipped), policy.reference())
            return Preference("robust DPO", self.optimizer, policy, micro_tokens, loss)
