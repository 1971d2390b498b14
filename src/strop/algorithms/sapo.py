"""SAPO: soft adaptive policy optimisation, a clip without corners.

Gao et al. 2025 (2511.20347):

    loss = - 1/B sum_i 1/L_i sum_t (4 / tau) sigmoid(tau (rho_it - 1)) A_i,     A_i as in GRPO
    tau = tau_positive where A_i > 0, tau_negative elsewhere

The gradient is w A grad log pi with w = 4 sigmoid (1 - sigmoid) rho: 1 at rho = 1 for every tau, and fading on both
sides. A larger tau_negative makes tokens of bad answers fade sooner: pushing one token down pushes all others up.

Differs from the paper: KL is off by default.
Degenerates: with one epoch every w is 1 and the gradient is GRPO's. The loss VALUE is then not 0, as 2 / tau differs by
the sign of A; it means nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import ClassVar

import torch
from torch import Tensor

from strop.functional.advantages import penalised
from strop.functional.aggregation import sequence_mean, spread, sum_per_pick
from strop.functional.bounds import check_at_least, check_not_negative, check_positive
from strop.functional.corrections import Correction
from strop.functional.divergences import KL
from strop.functional.objectives import ratio_metrics
from strop.functional.ratios import log_ratio
from strop.learners.policy_gradient import Scorer
from strop.memory import Fresh
from strop.optimizer import SGD, AdamW
from strop.types import Batch, Extras, Metrics, Policy, Sampling, State, Update, check_fields


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
    """`epochs` gradient steps a batch on group-normalised advantages and softly gated ratios."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Config:
        """Its fields.

        optimizer     AdamW or SGD, with the learning rate
        kl            the pull towards the policy at the start: weight, placement and estimator
        tau_positive  how fast a token of a good answer fades away from ratio 1
        tau_negative  how fast a token of another answer does
        epochs        optimiser steps on the same batch
        entropy       weight of the distribution's entropy, which is taken off the loss
        correction    how samples of another policy are weighed; none trusts them
        """

        reads: ClassVar[str] = "tasks"
        memory: ClassVar[type] = Fresh.Config
        extras: ClassVar[Extras] = Extras(least=2)
        optimizer: AdamW | SGD = field(default_factory=lambda: AdamW(lr=1e-6))
        kl: KL = field(default_factory=KL)
        tau_positive: float = 1.0
        tau_negative: float = 1.05
        epochs: int = 1
        entropy: float = 0.0
        correction: Correction | None = None

        def __post_init__(self) -> None:
            check_fields(self)
            check_positive("algorithm.tau_positive", self.tau_positive)
            check_positive("algorithm.tau_negative", self.tau_negative)
            check_at_least("algorithm.epochs", self.epochs, 1)
            check_not_negative("algorithm.entropy", self.entropy)

        def build(self, policy: Policy, sampling: Sampling, micro_tokens: int) -> SAPO:
            return SAPO(self, policy, sampling, micro_tokens)

    def __init__(self, config: SAPO.Config, policy: Policy, sampling: Sampling, micro_tokens: int) -> None:
        self.config = config
        self.scorer = Scorer(policy, sampling, config.kl, micro_tokens, "SAPO", config.entropy, config.correction)
        self.optimizer = config.optimizer.build(policy.parameters())
        self.loss = partial(sapo_loss, tau_positive=config.tau_positive, tau_negative=config.tau_negative)

    def update(self, batch: Batch) -> Update:
        """The optimiser steps of one batch; raises NonFinite before a step whose loss or gradient is not finite."""
        reference_BT = self.scorer.reference_logprobs(batch)
        penalty_E = sum_per_pick(self.scorer.kl_reward(batch, reference_BT), batch)
        advantage_BT = spread(penalised(batch.return_E, penalty_E, batch.group_E), batch)
        metrics = self.scorer.learn(
            self.optimizer,
            batch,
            advantage_BT,
            sequence_mean(batch),
            reference_BT,
            self.loss,
            epochs=self.config.epochs,
        )
        return Update(metrics, per_token={"advantage": advantage_BT})

    def state_dict(self) -> State:
        return {"optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state: State) -> None:
        self.optimizer.load_state_dict(state["optimizer"])
