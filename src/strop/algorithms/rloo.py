"""RLOO: REINFORCE with the other samples of the group as the baseline.

Kool, van Hoof & Welling 2019 ("Buy 4 REINFORCE samples, get a baseline for free"); Ahmadian et al. 2024 (2402.14740):

    A_i = R_i - mean of R_j over j != i,   R_i = r_i - kl.weight * sum_t k1_it
    loss = mean_i max(-rho_i A_i, -clip(rho_i, 1 - clip, 1 + clip) A_i),   rho_i = exp(sum_t log pi - log pi_old)

The whole completion is one action: one ratio, one advantage. Unbiased: the baseline of a sample never saw it. Where
`kl.placement` is "loss", the mean over sequences of the sum of their tokens' KL terms is added.

Differs from the paper: the ratio is clipped (as TRL does), which acts only with `epochs` > 1; with one epoch the
gradient is exactly A_i * grad log pi(y_i).
Degenerates: a group of one sample has no baseline and teaches nothing; equal returns in a group give exactly 0.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import ClassVar

from strop.functional.advantages import leave_one_out
from strop.functional.aggregation import sequence_sum, spread, sum_per_pick
from strop.functional.bounds import check_at_least, check_not_negative
from strop.functional.corrections import Correction
from strop.functional.divergences import KL
from strop.functional.objectives import sequence_objective
from strop.functional.ratios import check_clip
from strop.learners.policy_gradient import Scorer
from strop.memory import Fresh
from strop.optimizer import SGD, AdamW
from strop.types import Batch, Extras, Policy, Sampling, State, Update, check_fields


class RLOO:
    """`epochs` gradient steps a batch on leave-one-out advantages."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Config:
        """Its fields.

        optimizer   AdamW or SGD, with the learning rate
        kl          the pull towards the policy at the start: weight, placement and estimator
        clip        a sequence's ratio counts within 1 - clip and 1 + clip
        epochs      optimiser steps on the same batch
        entropy     weight of the distribution's entropy, which is taken off the loss
        correction  how samples of another policy are weighed; none trusts them
        """

        reads: ClassVar[str] = "tasks"
        memory: ClassVar[type] = Fresh.Config
        extras: ClassVar[Extras] = Extras(least=2)
        optimizer: AdamW | SGD = field(default_factory=lambda: AdamW(lr=1e-6))
        kl: KL = field(default_factory=lambda: KL(weight=0.05))
        clip: float = 0.2
        epochs: int = 1
        entropy: float = 0.0
        correction: Correction | None = None

        def __post_init__(self) -> None:
            check_fields(self)
            check_clip(self.clip, self.clip)
            check_at_least("algorithm.epochs", self.epochs, 1)
            check_not_negative("algorithm.entropy", self.entropy)

        def build(self, policy: Policy, sampling: Sampling, micro_tokens: int) -> RLOO:
            return RLOO(self, policy, sampling, micro_tokens)

    def __init__(self, config: RLOO.Config, policy: Policy, sampling: Sampling, micro_tokens: int) -> None:
        self.config = config
        self.scorer = Scorer(policy, sampling, config.kl, micro_tokens, "RLOO", config.entropy, config.correction)
        self.optimizer = config.optimizer.build(policy.parameters())
        self.loss = partial(sequence_objective, low=config.clip, high=config.clip)

    def update(self, batch: Batch) -> Update:
        """The optimiser steps of one batch; raises NonFinite before a step whose loss or gradient is not finite."""
        reference_BT = self.scorer.reference_logprobs(batch)
        penalty_E = sum_per_pick(self.scorer.kl_reward(batch, reference_BT), batch)
        advantage_E = leave_one_out(batch.return_E - penalty_E, batch.group_E)
        advantage_BT = spread(advantage_E, batch)
        metrics = self.scorer.learn(
            self.optimizer,
            batch,
            advantage_BT,
            sequence_sum(batch),
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
