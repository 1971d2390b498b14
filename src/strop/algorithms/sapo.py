"""SAPO: soft adaptive policy optimisation, a clip without corners.

Gao et al. 2025 (2511.20347):

    loss = - 1/B sum_i 1/L_i sum_t (4 / tau) sigmoid(tau (rho_it - 1)) A_i,     A_i as in GRPO
    tau = tau_positive where A_i > 0, tau_negative elsewhere

The gradient is w A grad log pi with w = 4 sigmoid (1 - sigmoid) rho: 1 at rho = 1 for every tau, decaying on both
sides. A larger tau_negative makes tokens of bad answers decay faster: pushing one token down pushes all others up.

Differs from the paper: KL is off by default.
Degenerates: with one epoch every w is 1 and the gradient is GRPO's. The loss VALUE is then not 0, as 2 / tau differs by
the sign of A; it means nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import torch
from torch import Tensor

from strop.functional.advantages import group_relative
from strop.functional.aggregation import sequence_mean
from strop.functional.bounds import check_positive
from strop.functional.objectives import ratio_metrics
from strop.functional.ratios import log_ratio
from strop.learners.policy_gradient import PolicyGradient, RatioConfig
from strop.types import Batch, Extras, Metrics, Policy, Sampling


def sapo_loss(
    micro: Batch,
    logprobs_BT: Tensor,
    old_BT: Tensor,
    advantage_BT: Tensor,
    weight_BT: Tensor,
    tau_positive: float,
    tau_negative: float,
) -> tuple[Tensor, Metrics]:
    """-sum w (4 / tau) sigmoid(tau (rho - 1)) A."""
    ratio_BT = log_ratio(logprobs_BT, old_BT, micro.action_BT).exp()
    tau_BT = torch.full_like(ratio_BT, tau_negative).masked_fill(advantage_BT > 0, tau_positive)
    gate_BT = 4.0 / tau_BT * torch.sigmoid(tau_BT * (ratio_BT - 1.0))
    return -(weight_BT * gate_BT * advantage_BT).sum(), ratio_metrics(micro, ratio_BT)


class SAPO:
    """`epochs` gradient steps per batch on group-normalised advantages and softly gated ratios."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Config(RatioConfig):
        """Options of SAPO.

        tau_positive  how fast the weight decays away from ratio 1 where the advantage is positive
        tau_negative  the same where it is not
        """

        extras: ClassVar[Extras] = Extras(least=2)
        tau_positive: float = 1.0
        tau_negative: float = 1.05

        def __post_init__(self) -> None:
            RatioConfig.__post_init__(self)
            check_positive("algorithm.tau_positive", self.tau_positive)
            check_positive("algorithm.tau_negative", self.tau_negative)

        def build(self, policy: Policy, sampling: Sampling, micro_tokens: int, seed: int = 0) -> PolicyGradient:
            return PolicyGradient(
                "SAPO",
                self,
                policy,
                sampling,
                micro_tokens,
                advantage=group_relative,
                weight=sequence_mean,
                loss=partial(sapo_loss, tau_positive=self.tau_positive, tau_negative=self.tau_negative),
            )
