"""REINFORCE with a baseline: the policy gradient itself.

Williams 1992 ("Simple statistical gradient-following algorithms"), Sutton & Barto 2018 eq. 13.11:

    grad J = E[ sum_t grad log pi(a_t | s_t) (G_t - b) ],     G_t = sum_{k >= t} discount^(k - t) r_k

The baseline b is a running mean of past returns: it never saw the batch it is used on, so the estimate stays unbiased.
A learnt baseline b(s), which depends on the state, is A2C with n_step none, under a mean over tokens.

Differs from the paper: the factor discount^t in front of grad log pi, which the gradient of the discounted return
needs, is left out unless `discount_state` is set, as nearly all code does; at discount 1 the two agree.
Degenerates: without reward differences the gradient is noise around 0; a baseline cannot repair a reward that is
constant. Truncated episodes bootstrap nothing: what would have followed counts as 0.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

from strop.functional.aggregation import scored_actions, sequence_sum
from strop.functional.bounds import check_below, check_not_negative, check_share
from strop.functional.corrections import Correction
from strop.functional.divergences import KL
from strop.functional.objectives import policy_gradient
from strop.functional.returns import position_in_chain, returns_to_go
from strop.learners.policy_gradient import Scorer
from strop.memory import Fresh
from strop.optimizer import SGD, AdamW
from strop.types import Batch, Last, Policy, Sampling, State, Update, check_fields


class REINFORCE:
    """One gradient step a batch, on returns to go minus a running-mean baseline."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Config:
        """Its fields.

        optimizer       AdamW or SGD, with the learning rate
        kl              the pull towards the policy at the start: weight, placement and estimator
        discount        what a reward counts for one decision earlier; 1 counts all alike
        discount_state  late decisions count less too, as the discounted objective has it
        baseline_decay  share of the old mean return that stays in the baseline; none has no baseline
        entropy         weight of the distribution's entropy, which is taken off the loss
        correction      how samples of another policy are weighed; none trusts them
        """

        reads: ClassVar[str] = "tasks"
        memory: ClassVar[type] = Fresh.Config
        optimizer: AdamW | SGD = field(default_factory=AdamW)
        kl: KL = field(default_factory=KL)
        discount: float = 1.0
        discount_state: bool = False
        baseline_decay: float | None = 0.9
        entropy: float = 0.0
        correction: Correction | None = None

        def __post_init__(self) -> None:
            check_fields(self)
            check_share("algorithm.discount", self.discount)
            check_below("algorithm.baseline_decay", self.baseline_decay, 1.0, none="takes no baseline")
            check_not_negative("algorithm.entropy", self.entropy)

        def build(self, policy: Policy, sampling: Sampling, micro_tokens: int) -> REINFORCE:
            return REINFORCE(self, policy, sampling, micro_tokens)

    def __init__(self, config: REINFORCE.Config, policy: Policy, sampling: Sampling, micro_tokens: int) -> None:
        self.config = config
        self.scorer = Scorer(policy, sampling, config.kl, micro_tokens, "REINFORCE", config.entropy, config.correction)
        self.optimizer = config.optimizer.build(policy.parameters())
        self.baseline = 0.0

    def update(self, batch: Batch) -> Update:
        """One optimiser step; raises NonFinite before it if the loss or the gradient is not finite."""
        reference_BT = self.scorer.reference_logprobs(batch)
        rewards_BT = batch.rewards_BT - self.scorer.kl_reward(batch, reference_BT)
        return_BT = returns_to_go(rewards_BT, batch.next_BT, self.config.discount)
        advantage_BT = torch.where(batch.action_BT, return_BT - self.baseline, 0.0)
        if self.config.discount_state:
            time_BT = position_in_chain(batch.next_BT, batch.decision_BT).to(advantage_BT.dtype)
            advantage_BT = advantage_BT * self.config.discount**time_BT
        metrics = self.scorer.learn(
            self.optimizer, batch, advantage_BT, sequence_sum(batch), reference_BT, policy_gradient
        ) | {"policy/baseline": Last(self.baseline)}
        self._follow(return_BT[scored_actions(batch)])
        return Update(metrics, per_token={"advantage": advantage_BT})

    def _follow(self, return_N: Tensor) -> None:
        """Move the baseline towards the mean of the returns just seen."""
        if self.config.baseline_decay is not None and len(return_N):
            decay = self.config.baseline_decay
            self.baseline = decay * self.baseline + (1.0 - decay) * return_N.mean().item()

    def state_dict(self) -> State:
        return {"optimizer": self.optimizer.state_dict(), "baseline": self.baseline}

    def load_state_dict(self, state: State) -> None:
        self.optimizer.load_state_dict(state["optimizer"])
        self.baseline = state["baseline"]
