"""REINFORCE with a baseline: the policy gradient itself.

Williams 1992 ("Simple statistical gradient-following algorithms"), Sutton & Barto 2018 eq. 13.11:

    grad J = E[ sum_t grad log pi(a_t | s_t) (G_t - b) ],     G_t = sum_{k >= t} discount^(k - t) r_k

The baseline b is a running mean of past returns: independent of the current batch, so the estimate stays unbiased. A
learnt baseline b(s), which depends on the state, is A2C with n_step none, under a mean over tokens.

Differs from the paper: the factor discount^t in front of grad log pi, which the gradient of the discounted return
needs, is left out unless `discount_state` is set, as nearly all code does; at discount 1 the two agree.
Degenerates: with a constant reward the gradient is only noise around 0. Truncated episodes are not bootstrapped:
rewards after the cut count as 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from strop.functional.aggregation import scored_actions, sequence_sum
from strop.functional.bounds import check_below, check_share
from strop.functional.objectives import policy_gradient
from strop.functional.returns import position_in_chain, returns_to_go
from strop.learners.policy_gradient import PolicyGradient, PolicyGradientConfig
from strop.types import Batch, Last, Metrics, Policy, Sampling, State


class RunningBaseline:
    """Returns to go minus the running mean of those of earlier batches."""

    def __init__(self, config: REINFORCE.Config) -> None:
        self.config, self.value, self.next_value = config, 0.0, 0.0

    def logged(self, batch: Batch) -> tuple[Batch, Metrics]:
        """Keep the whole batch, and log its baseline."""
        return batch, {"policy/baseline": Last(self.value)}

    def advantage(self, batch: Batch, penalty_BT: Tensor) -> Tensor:
        """[B, T]; the baseline of the next batch moves towards the mean of the returns just seen."""
        config = self.config
        return_BT = returns_to_go(batch.rewards_BT - penalty_BT, batch.next_BT, config.discount)
        advantage_BT = torch.where(batch.action_BT, return_BT - self.value, 0.0)
        if config.discount_state:
            time_BT = position_in_chain(batch.next_BT, batch.decision_BT).to(advantage_BT.dtype)
            advantage_BT = advantage_BT * config.discount**time_BT
        return_N, decay, self.next_value = return_BT[scored_actions(batch)], config.baseline_decay, self.value
        if decay is not None and len(return_N):
            self.next_value = decay * self.value + (1.0 - decay) * return_N.mean().item()
        return advantage_BT

    def advance(self) -> None:
        """Move on to the baseline of the next batch."""
        self.value = self.next_value

    def state_dict(self) -> State:
        return {"value": self.value}

    def load_state_dict(self, state: State) -> None:
        self.value = state["value"]


class REINFORCE:
    """One gradient step per batch, on returns to go minus a running-mean baseline."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Config(PolicyGradientConfig):
        """Options of REINFORCE.

        discount        discount factor per decision; 1 is undiscounted
        discount_state  weight decision t by discount^t, as the exact gradient of the discounted return has it
        baseline_decay  decay of the running mean of returns; none is no baseline
        """

        discount: float = 1.0
        discount_state: bool = False
        baseline_decay: float | None = 0.9

        def __post_init__(self) -> None:
            PolicyGradientConfig.__post_init__(self)
            check_share("algorithm.discount", self.discount)
            check_below("algorithm.baseline_decay", self.baseline_decay, 1.0, none="takes no baseline")

        def build(self, policy: Policy, sampling: Sampling, micro_tokens: int, seed: int = 0) -> PolicyGradient:
            baseline = RunningBaseline(self)
            return PolicyGradient(
                "REINFORCE",
                self,
                policy,
                sampling,
                micro_tokens,
                advantage=baseline.advantage,
                weight=sequence_sum,
                loss=policy_gradient,
                prepare=baseline.logged,
                state=baseline,
            )
