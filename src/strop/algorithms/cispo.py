"""CISPO: clip the importance weight and keep every token's gradient.

MiniMax 2025 (MiniMax-M1, 2506.13585) eq. 4-5:

    loss = - sum_it sg(clamp(rho_it, floor, cap)) A_i log pi_it / sum_i L_i,     A_i as in GRPO

The weight is a constant, so a token outside the bounds is weighed down and never silenced, as the clip of PPO does.

Units: `cap` and `floor` bound the ratio itself, 5.0 is five times as likely. Other code clamps to
[1 - epsilon_low, 1 + epsilon_high], or reads an "epsilon_high" as the cap: with 0.2 that weighs EVERY token by 0.2.
Differs from the paper: KL is off by default.
Degenerates: with one epoch every weight is 1 and this is GRPO's gradient under a mean over tokens.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import ClassVar

import torch
from torch import Tensor

from strop.functional.advantages import penalised
from strop.functional.aggregation import spread, sum_per_pick, token_mean
from strop.functional.bounds import check_at_least, check_not_negative
from strop.functional.corrections import Correction
from strop.functional.divergences import KL
from strop.functional.objectives import mean_over_tokens, ratio_metrics
from strop.functional.ratios import log_ratio
from strop.learners.policy_gradient import Scorer
from strop.memory import Fresh
from strop.optimizer import SGD, AdamW
from strop.types import Batch, Extras, Metrics, Policy, Sampling, State, Update, check_fields


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
    """`epochs` gradient steps a batch on group-normalised advantages and bounded importance weights."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Config:
        """Its fields.

        optimizer   AdamW or SGD, with the learning rate
        kl          the pull towards the policy at the start: weight, placement and estimator
        floor       the least weight of a token's gradient: its ratio is not counted below
        cap         the largest weight of a token's gradient: its ratio is not counted above
        epochs      optimiser steps on the same batch
        entropy     weight of the distribution's entropy, which is taken off the loss
        correction  how samples of another policy are weighed; none trusts them
        """

        reads: ClassVar[str] = "tasks"
        memory: ClassVar[type] = Fresh.Config
        extras: ClassVar[Extras] = Extras(least=2)
        optimizer: AdamW | SGD = field(default_factory=lambda: AdamW(lr=1e-6))
        kl: KL = field(default_factory=KL)
        floor: float = 0.0
        cap: float = 5.0
        epochs: int = 1
        entropy: float = 0.0
        correction: Correction | None = None

        def __post_init__(self) -> None:
            check_fields(self)
            if not 0.0 <= self.floor <= 1.0 <= self.cap:
                raise ValueError(
                    f"algorithm.floor={self.floor}, algorithm.cap={self.cap}: they bound the ratio pi / pi_old itself, "
                    "so 0 <= floor <= 1 <= cap; a cap below 1 would weigh every token down."
                )
            check_at_least("algorithm.epochs", self.epochs, 1)
            check_not_negative("algorithm.entropy", self.entropy)

        def build(self, policy: Policy, sampling: Sampling, micro_tokens: int) -> CISPO:
            return CISPO(self, policy, sampling, micro_tokens)

    def __init__(self, config: CISPO.Config, policy: Policy, sampling: Sampling, micro_tokens: int) -> None:
        self.config = config
        self.scorer = Scorer(policy, sampling, config.kl, micro_tokens, "CISPO", config.entropy, config.correction)
        self.optimizer = config.optimizer.build(policy.parameters())
        self.loss = partial(cispo_loss, floor=config.floor, cap=config.cap)

    def update(self, batch: Batch) -> Update:
        """The optimiser steps of one batch; raises NonFinite before a step whose loss or gradient is not finite."""
        reference_BT = self.scorer.reference_logprobs(batch)
        penalty_E = sum_per_pick(self.scorer.kl_reward(batch, reference_BT), batch)
        advantage_BT = spread(penalised(batch.return_E, penalty_E, batch.group_E), batch)
        metrics = self.scorer.learn(
            self.optimizer,
            batch,
            advantage_BT,
            token_mean(batch),
            reference_BT,
            self.loss,
            epochs=self.config.epochs,
        )
        return Update(metrics, per_token={"advantage": advantage_BT})

    def state_dict(self) -> State:
        return {"optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state: State) -> None:
        self.optimizer.load_state_dict(state["optimizer"])
