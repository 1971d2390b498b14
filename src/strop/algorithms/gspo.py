"""GSPO: group sequence policy optimisation.

Zheng et al. 2025 (2507.18071) eq. 5-7:

    s_i = (pi(y_i) / pi_old(y_i))^(1/L_i) = exp( 1/L_i sum_t log pi - log pi_old )
    loss = 1/B sum_i max(-s_i A_i, -clip(s_i, 1 - clip_low, 1 + clip_high) A_i),     A_i as in GRPO

One ratio a sequence, as the reward is one number a sequence. It is a geometric mean over the tokens, so it stays near 1
and its band is some five hundred times narrower than a token's 0.2: 3e-4 below and 4e-4 above.

Differs from the paper: KL is off, and a batch is one step by default (the paper: four mini-batches). GSPO-token,
sg(s_i) rho_it / sg(rho_it), has the same gradient as long as the advantage is one number a sequence, as it is here, so
it is not offered.
Degenerates: with one epoch every s_i is 1 and the gradient is GRPO's. Dividing by L_i makes s_i no importance weight:
the estimate is biased as soon as the policy moves.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import ClassVar

from torch import Tensor

from strop.functional.advantages import penalised
from strop.functional.aggregation import sequence_mean, spread, sum_per_pick
from strop.functional.bounds import check_at_least, check_not_negative
from strop.functional.corrections import Correction
from strop.functional.divergences import KL
from strop.functional.objectives import clip_metrics
from strop.functional.ratios import check_clip, clipped_loss, log_ratio, mean_log_ratio
from strop.learners.policy_gradient import Scorer
from strop.memory import Fresh
from strop.optimizer import SGD, AdamW
from strop.types import Batch, Extras, Metrics, Policy, Sampling, State, Update, check_fields


def gspo_loss(
    micro: Batch,
    logprobs_BT: Tensor,
    old_BT: Tensor,
    advantage_BT: Tensor,
    weight_BT: Tensor,
    low: float,
    high: float,
) -> tuple[Tensor, Metrics]:
    """sum w max(-s A, -clip(s) A) under the weights of `sequence_mean`; needs whole episodes."""
    ratio_BT = mean_log_ratio(log_ratio(logprobs_BT, old_BT, micro.action_BT), micro).exp()
    loss = (weight_BT * clipped_loss(ratio_BT, advantage_BT, low, high)).sum()
    return loss, clip_metrics(micro, ratio_BT, advantage_BT, low, high)


class GSPO:
    """`epochs` gradient steps a batch on group-normalised advantages and one ratio a sequence."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Config:
        """Its fields.

        optimizer   AdamW or SGD, with the learning rate
        kl          the pull towards the policy at the start: weight, placement and estimator
        clip_low    a sequence's ratio counts down to 1 - clip_low
        clip_high   a sequence's ratio counts up to 1 + clip_high
        epochs      optimiser steps on the same batch
        entropy     weight of the distribution's entropy, which is taken off the loss
        correction  how samples of another policy are weighed; none trusts them
        """

        reads: ClassVar[str] = "tasks"
        memory: ClassVar[type] = Fresh.Config
        extras: ClassVar[Extras] = Extras(least=2)
        optimizer: AdamW | SGD = field(default_factory=lambda: AdamW(lr=1e-6))
        kl: KL = field(default_factory=KL)
        clip_low: float = 3e-4
        clip_high: float = 4e-4
        epochs: int = 1
        entropy: float = 0.0
        correction: Correction | None = None

        def __post_init__(self) -> None:
            check_fields(self)
            check_clip(self.clip_low, self.clip_high)
            check_at_least("algorithm.epochs", self.epochs, 1)
            check_not_negative("algorithm.entropy", self.entropy)

        def build(self, policy: Policy, sampling: Sampling, micro_tokens: int) -> GSPO:
            return GSPO(self, policy, sampling, micro_tokens)

    def __init__(self, config: GSPO.Config, policy: Policy, sampling: Sampling, micro_tokens: int) -> None:
        self.config = config
        self.scorer = Scorer(policy, sampling, config.kl, micro_tokens, "GSPO", config.entropy, config.correction)
        self.optimizer = config.optimizer.build(policy.parameters())
        self.loss = partial(gspo_loss, low=config.clip_low, high=config.clip_high)

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
            keep="episode",
            epochs=self.config.epochs,
        )
        return Update(metrics, per_token={"advantage": advantage_BT})

    def state_dict(self) -> State:
        return {"optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state: State) -> None:
        self.optimizer.load_state_dict(state["optimizer"])
