"""DPPO: divergence proximal policy optimization, a trust region on probabilities in place of ratios.

Qi et al. 2026 (2602.04879) eq. 11-14, A_i as in GRPO:

    loss = - sum_it M_it rho_it A_i / sum_i L_i,     rho_it = pi / mu of the token
    M_it = 0 where the divergence of pi from mu is above delta and the step would take it further, else 1
    tv   |pi - mu|,     kl   mu log(mu / pi) + (1 - mu) log((1 - mu) / (1 - pi))

"Further" is A > 0 and pi > mu, or A < 0 and pi < mu. Both divergences are those of "this token or another": they need
nothing but the token's own probability. A clip of the ratio stops a token on its way from 1 % to 2 %, as it does one
from 50 % to 100 %; here it counts how much probability has moved.

mu is the policy that sampled, in all epochs: its recorded log-probs, not the learner's own before the first step. So
rho and the trust region cover the gap to another engine, and there is no `correction` to set.

Differs from the paper: the ratio has no upper bound (the authors' code: 20). KL is off by default.
Degenerates: a delta of 1 never masks by tv: a plain importance-weighted policy gradient. With one epoch on the
learner's own samples rho is 1, nothing is masked, and this is GRPO's gradient under a mean over tokens.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import ClassVar, Literal, Self

import torch
from torch import Tensor

from strop.functional.advantages import group_relative
from strop.functional.aggregation import scored_actions, token_mean
from strop.functional.bounds import check_at_least, check_not_negative, check_positive
from strop.functional.divergences import KL
from strop.functional.objectives import mean_over_tokens, ratio_metrics
from strop.functional.ratios import log_ratio
from strop.learners.policy_gradient import PolicyGradient, RatioConfig
from strop.memory import Fresh
from strop.optimizer import SGD, AdamW
from strop.types import AlgorithmConfig, Batch, Extras, Metrics, Policy, Sampling, check_fields

Divergence = Literal["tv", "kl"]
DIVERGENCES = ("tv", "kl")


def binary_divergence(logprobs_BT: Tensor, acted_BT: Tensor, divergence: Divergence) -> Tensor:
    """The divergence [B, T] of pi from mu as distributions over "this token or another", from their log-probs."""
    pi_BT, mu_BT = logprobs_BT.exp(), acted_BT.exp()
    if divergence == "tv":
        return (pi_BT - mu_BT).abs()
    other_pi_BT, other_mu_BT = -logprobs_BT.expm1(), -acted_BT.expm1()  # exact where a token is nearly certain
    other_BT = torch.xlogy(other_mu_BT, other_mu_BT) - torch.xlogy(other_mu_BT, other_pi_BT)  # 0 where mu is 1
    return mu_BT * (acted_BT - logprobs_BT) + other_BT


def dppo_loss(
    micro: Batch,
    logprobs_BT: Tensor,
    old_BT: Tensor,
    advantage_BT: Tensor,
    weight_BT: Tensor,
    divergence: Divergence,
    delta: float,
) -> tuple[Tensor, Metrics]:
    """-sum w M rho A, with the sampler's log-probs instead of `old_BT`."""
    scored_BT = scored_actions(micro)
    acted_BT = torch.where(scored_BT, micro.logprobs_BT, 0.0)
    log_ratio_BT = log_ratio(logprobs_BT, acted_BT.to(logprobs_BT.dtype), scored_BT)
    now_BT = torch.where(scored_BT, logprobs_BT.detach().double(), 0.0)
    is_far_BT = binary_divergence(now_BT, acted_BT, divergence) > delta
    is_out_BT = is_far_BT & (advantage_BT * (now_BT - acted_BT) > 0)
    signal_BT = (weight_BT * advantage_BT).masked_fill(is_out_BT, 0.0)
    ratio_BT = log_ratio_BT.exp()
    loss = -(signal_BT * ratio_BT).sum()
    return loss, ratio_metrics(micro, ratio_BT) | {"policy/masked": mean_over_tokens(micro, is_out_BT)}


class DPPO:
    """`epochs` gradient steps per batch on group-normalised advantages, within a trust region of probabilities."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Config(AlgorithmConfig):
        """Options of DPPO.

        optimizer   AdamW or SGD, with the learning rate
        kl          KL penalty to the policy at the start: weight, placement and estimator
        entropy     weight of the entropy bonus
        epochs      optimiser steps on the same batch
        divergence  what delta bounds: total variation (tv), or KL in nats (kl)
        delta       largest divergence of a token's probability from the sampler's; 0.05 suits kl
        """

        memory: ClassVar[type] = Fresh.Config
        extras: ClassVar[Extras] = Extras(least=2)
        optimizer: AdamW | SGD = field(default_factory=lambda: AdamW(lr=1e-6))
        kl: KL = field(default_factory=KL)
        entropy: float = 0.0
        epochs: int = 1
        divergence: Divergence = "tv"
        delta: float = 0.2

        def __post_init__(self) -> None:
            check_fields(self)
            check_not_negative("algorithm.entropy", self.entropy)
            check_at_least("algorithm.epochs", self.epochs, 1)
            check_positive("algorithm.delta", self.delta)
            if self.divergence not in DIVERGENCES:
                raise ValueError(f"algorithm.divergence={self.divergence!r}: allowed are {', '.join(DIVERGENCES)}.")

        def corrected(self) -> Self:
            """No change: the ratio is already taken to the policy that sampled."""
            return self

        def build(self, policy: Policy, sampling: Sampling, micro_tokens: int, seed: int = 0) -> PolicyGradient:
            return PolicyGradient(
                "DPPO",
                RatioConfig(optimizer=self.optimizer, kl=self.kl, entropy=self.entropy, epochs=self.epochs),
                policy,
                sampling,
                micro_tokens,
                advantage=group_relative,
                weight=token_mean,
                loss=partial(dppo_loss, divergence=self.divergence, delta=self.delta),
            )
