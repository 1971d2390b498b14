"""REINFORCE++: PPO without a critic, its advantages whitened over the whole batch.

Hu 2025 (2501.03262):

    r_it = reward_it - kl.weight * k1_it,     G_it = sum_{k >= t} discount^(k - t) r_ik
    A_it = (G_it - mean) / (std + 1e-8) over ALL tokens of the batch
    loss = sum_it max(-rho_it A_it, -clip(rho_it, 1 - clip, 1 + clip) A_it) / sum_i L_i

With `group_baseline` (the paper's REINFORCE++-baseline) the mean return of the group, KL included, is taken off first:
rewards of hard and easy prompts become comparable, and one std still serves all.

Differs from the paper: the std is the population's (over n tokens, not n - 1), so that a batch twice over is the same
batch; with `group_baseline` the KL stays where `kl.placement` puts it (the paper: k2 in the loss).
Degenerates: a batch whose returns are all equal gives 0. Whitening divides by a number that depends on the samples, and
its mean contains the sample itself, so the expected gradient is biased; the bias falls with the size of the batch.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import ClassVar

from torch import Tensor

from strop.functional.advantages import group_mean, whitened
from strop.functional.aggregation import scored_actions, spread, sum_per_pick, token_mean
from strop.functional.bounds import check_at_least, check_not_negative, check_share
from strop.functional.corrections import Correction
from strop.functional.divergences import KL
from strop.functional.objectives import token_objective
from strop.functional.ratios import check_clip
from strop.functional.returns import returns_to_go
from strop.learners.policy_gradient import Scorer
from strop.memory import Fresh
from strop.optimizer import SGD, AdamW
from strop.types import Batch, Extras, Policy, Sampling, State, Update, check_fields


class REINFORCEPlusPlus:
    """`epochs` gradient steps a batch on returns to go, whitened over the batch."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Config:
        """Its fields.

        optimizer       AdamW or SGD, with the learning rate
        kl              the pull towards the policy at the start: weight, placement and estimator
        discount        what a reward counts for one decision earlier; 1 counts all alike
        group_baseline  takes the group's mean return off before whitening
        clip            a token's ratio counts within 1 - clip and 1 + clip
        epochs          optimiser steps on the same batch
        entropy         weight of the distribution's entropy, which is taken off the loss
        correction      how samples of another policy are weighed; none trusts them
        """

        reads: ClassVar[str] = "tasks"
        memory: ClassVar[type] = Fresh.Config
        optimizer: AdamW | SGD = field(default_factory=lambda: AdamW(lr=1e-6))
        kl: KL = field(default_factory=lambda: KL(weight=0.01))
        discount: float = 1.0
        group_baseline: bool = False
        clip: float = 0.2
        epochs: int = 1
        entropy: float = 0.0
        correction: Correction | None = None

        def __post_init__(self) -> None:
            check_fields(self)
            check_share("algorithm.discount", self.discount)
            check_clip(self.clip, self.clip)
            check_at_least("algorithm.epochs", self.epochs, 1)
            check_not_negative("algorithm.entropy", self.entropy)

        @property
        def extras(self) -> Extras:
            """The group's mean needs a group."""
            return Extras(least=2 if self.group_baseline else 1)

        def build(self, policy: Policy, sampling: Sampling, micro_tokens: int) -> REINFORCEPlusPlus:
            return REINFORCEPlusPlus(self, policy, sampling, micro_tokens)

    def __init__(self, config: REINFORCEPlusPlus.Config, policy: Policy, sampling: Sampling, micro_tokens: int) -> None:
        self.config = config
        self.scorer = Scorer(
            policy, sampling, config.kl, micro_tokens, "REINFORCE++", config.entropy, config.correction
        )
        self.optimizer = config.optimizer.build(policy.parameters())
        self.loss = partial(token_objective, low=config.clip, high=config.clip)

    def update(self, batch: Batch) -> Update:
        """The optimiser steps of one batch; raises NonFinite before a step whose loss or gradient is not finite."""
        reference_BT = self.scorer.reference_logprobs(batch)
        advantage_BT = self._advantage(batch, self.scorer.kl_reward(batch, reference_BT))
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

    def _advantage(self, batch: Batch, penalty_BT: Tensor) -> Tensor:
        """The whitened returns to go [B, T]."""
        return_BT = returns_to_go(batch.rewards_BT - penalty_BT, batch.next_BT, self.config.discount)
        if self.config.group_baseline:
            return_E = batch.return_E - sum_per_pick(penalty_BT, batch)
            baseline_E = return_E - group_mean(return_E, batch.group_E)
            return_BT = return_BT - spread(baseline_E.nan_to_num(0.0), batch)
        return whitened(return_BT, scored_actions(batch))

    def state_dict(self) -> State:
        return {"optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state: State) -> None:
        self.optimizer.load_state_dict(state["optimizer"])
