"""Tabular Q-learning: off-policy temporal differences on a table of token prefixes.

Watkins & Dayan 1992; Sutton & Barto 2018 eq. 6.8. For every decision, in the order in which it was taken:

    Q(s, a) <- Q(s, a) + rate * [ r + discount * max_b Q(s', b) - Q(s, a) ]

where the max is 0 if the episode terminated; a TRUNCATED episode bootstraps from the state that would have followed.
`rate` shrinks with the visits n of (s, a) as rate / (n + 1)^rate_decay; with a decay in (0.5, 1] the Robbins-Monro
conditions hold and stochastic rewards converge.

Differs from the paper: nothing. (A common misprint puts the bracket behind the max, so that Q(s, a) cancels out; see
the documentation of the two-word example.)
Degenerates: without exploration (sampling.epsilon = 0) unseen actions keep their initial value for ever.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from strop.memory import Fresh
from strop.policies.table import Table
from strop.types import Batch, Max, Mean, Metrics, Policy, Sampling, State, Update


def q_target(reward: float, next_best: float | None, discount: float) -> float:
    """r + discount * max_b Q(s', b); only r where nothing follows."""
    return reward if next_best is None else reward + discount * next_best


class QLearning:
    """One pass over the batch's decisions in order; the batch's other decisions see each correction at once."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Config:
        """`rate` is the learning rate (alpha), `rate_decay` the power by which visits shrink it."""

        reads: ClassVar[str] = "tasks"
        memory: ClassVar[type] = Fresh.Config
        rate: float = 0.1
        rate_decay: float = 0.0
        discount: float = 0.99

        def __post_init__(self) -> None:
            if not 0.0 < self.rate <= 1.0:
                raise ValueError(f"algorithm.rate={self.rate}: the learning rate lies in (0, 1].")
            if not 0.0 <= self.rate_decay <= 1.0:
                raise ValueError(f"algorithm.rate_decay={self.rate_decay}: it lies in [0, 1]; 0 keeps the rate.")
            if not 0.0 <= self.discount <= 1.0:
                raise ValueError(f"algorithm.discount={self.discount}: it lies in [0, 1].")

        def build(self, policy: Policy, sampling: Sampling, micro_tokens: int) -> QLearning:
            if not isinstance(policy, Table):
                raise ValueError("Q-learning here is tabular: set policy=strop.policies.Table.Config(words=[...]).")
            return QLearning(self, policy)

    def __init__(self, config: QLearning.Config, policy: Table) -> None:
        self.config, self.policy = config, policy
        self.visits = torch.zeros(policy.weight.shape, dtype=torch.int64)

    @torch.no_grad()
    def update(self, batch: Batch) -> Update:
        """Correct the table in place."""
        error_BT = torch.zeros_like(batch.rewards_BT)
        largest, total, count = 0.0, 0.0, 0
        for b, t in batch.action_BT.nonzero().tolist():
            if batch.weight_E[batch.episode_B[b]] == 0:
                continue
            error = self._correct(batch, b, t)
            error_BT[b, t] = error
            largest, total, count = max(largest, abs(error)), total + abs(error), count + 1
        metrics: Metrics = {"q/error_mean": Mean(total, count), "q/error_max": Max(largest)}
        return Update(metrics, per_token={"td_error": error_BT})

    def _correct(self, batch: Batch, b: int, t: int) -> float:
        """Move Q(s, a) towards its target; returns the temporal-difference error."""
        table, width = self.policy.weight, batch.tokens_BT.shape[1]
        row = self.policy.row(tuple(batch.tokens_BT[b, :t].tolist()))
        action = int(batch.tokens_BT[b, t])
        next_b, next_t = divmod(int(batch.next_BT[b, t]), width)
        next_best = None
        if batch.next_BT[b, t] >= 0:
            next_best = table[self.policy.row(tuple(batch.tokens_BT[next_b, :next_t].tolist()))].max().item()
        target = q_target(batch.rewards_BT[b, t].item(), next_best, self.config.discount)
        error = target - table[row, action].item()
        rate = self.config.rate / (1 + int(self.visits[row, action])) ** self.config.rate_decay
        table[row, action] += rate * error
        self.visits[row, action] += 1
        return error

    def state_dict(self) -> State:
        return {"visits": self.visits.clone()}

    def load_state_dict(self, state: State) -> None:
        self.visits.copy_(state["visits"])
