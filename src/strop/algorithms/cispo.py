"""CISPO: clip the importance weight and keep every token's gradient.

MiniMax 2025 (MiniMax-M1, 2506.13585) eq. 4-5:

    loss = - sum_it sg(clamp(rho_it, floor, cap)) A_i log pi_it / sum_i L_i,     A_i as in GRPO

The weight has no gradient. A token outside the bounds keeps a bounded gradient; PPO's clip would remove it.

Units: `cap` and `floor` bound the ratio itself, 5.0 is five times as likely. Other code clamps to
[1 - epsilon_low, 1 + epsilon_high], or reads an "epsilon_high" as the cap: with 0.2 that weighs EVERY token by 0.2.
Differs from the paper: KL is off by default.
Degenerates: with one epoch every weight is 1 and this is GRPO's gradient under a mean over tokens.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import torch
from torch import Tensor

from strop.functional.advantages import group_relative
from strop.functional.aggregation import token_mean
from strop.functional.objectives import mean_over_tokens, ratio_metrics
from strop.functional.ratios import log_ratio
from strop.learners.policy_gradient import PolicyGradient, RatioConfig
from strop.types import Batch, Extras, Metrics, Policy, Sampling


def cispo_loss(
    micro: Batch,
    logprobs_BT: Tensor,
    old_BT: Tensor,
    advantage_BT: Tensor,
    weight_BT: Tensor,
    floor: float,
    cap: float,
) -> tuple[Tensor, Metrics]:
    """-sum w sg(clamp(rho, floor, cap)) A log pi."""
    ratio_BT = log_ratio(logprobs_BT.detach(), old_BT, micro.action_BT).exp()
    logprobs_BT = torch.where(micro.action_BT, logprobs_BT, 0.0)
    loss = -(weight_BT * ratio_BT.clamp(floor, cap) * advantage_BT * logprobs_BT).sum()
    outside_BT = (ratio_BT < floor) | (ratio_BT > cap)
    return loss, ratio_metrics(micro, ratio_BT) | {"policy/ratio_outside": mean_over_tokens(micro, outside_BT)}


class CISPO:
    """`epochs` gradient steps per batch on group-normalised advantages and bounded importance weights."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Config(RatioConfig):
        """Options of CISPO.

        floor  lower bound of the importance weight of a token
        cap    upper bound of the importance weight of a token
        """

        extras: ClassVar[Extras] = Extras(least=2)
        floor: float = 0.0
        cap: float = 5.0

        def __post_init__(self) -> None:
            RatioConfig.__post_init__(self)
            if not 0.0 <= self.floor <= 1.0 <= self.cap:
                raise ValueError(
                    f"algorithm.floor={self.floor}, algorithm.cap={self.cap}: they bound the ratio pi / pi_old itself, "
                    "so 0 <= floor <= 1 <= cap; a cap below 1 would weigh every token down."
                )

        def build(self, policy: Policy, sampling: Sampling, micro_tokens: int, seed: int = 0) -> PolicyGradient:
            return PolicyGradient(
                "CISPO",
                self,
                policy,
                sampling,
                micro_tokens,
                advantage=group_relative,
                weight=token_mean,
                loss=partial(cispo_loss, floor=self.floor, cap=self.cap),
            )
