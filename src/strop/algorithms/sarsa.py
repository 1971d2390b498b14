"""SARSA: on-policy temporal differences; the values of the policy that really acts, exploration included.

Rummery & Niranjan 1994; Sutton & Barto 2018 eq. 6.7. For every decision, in the order in which it was taken:

    Q(s, a) <- Q(s, a) + rate * [ r + discount * Q(s', a') - Q(s, a) ]

with a' the action that was taken in s', and only r where the episode terminated. `rate` shrinks with visits as in
Q-learning. With exploration that dies out (a schedule for sampling.epsilon) the values become Q*.

Differs from the paper: the corrections are made after the episodes of the step are over, not while they are played.
The last decision of a TRUNCATED episode has no a' and is left alone; expected SARSA learns from it too.
Degenerates: with a constant epsilon the values are those of the exploring policy and stay below Q*.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from strop.learners.tabular import Book, Decision, check_rates, require_table, sweep
from strop.memory import Fresh
from strop.policies.table import Table
from strop.types import Batch, Policy, Sampling, State, Update, check_fields


class SARSA:
    """One pass over the batch's decisions in order."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Config:
        """Its fields.

        rate        learning rate of a correction (alpha)
        rate_decay  power by which visits shrink the rate; 0 keeps it
        discount    what a reward counts for one decision earlier; 1 counts all alike
        """

        reads: ClassVar[str] = "tasks"
        memory: ClassVar[type] = Fresh.Config
        rate: float = 0.1
        rate_decay: float = 0.0
        discount: float = 0.99

        def __post_init__(self) -> None:
            check_fields(self)
            check_rates(self.rate, self.rate_decay, self.discount)

        def build(self, policy: Policy, sampling: Sampling, micro_tokens: int) -> SARSA:
            return SARSA(self, require_table(policy, "SARSA"))

    def __init__(self, config: SARSA.Config, policy: Table) -> None:
        self.config, self.policy = config, policy
        self.book = Book(policy.weight, config.rate, config.rate_decay)

    def update(self, batch: Batch) -> Update:
        """Correct the table in place."""
        return sweep(batch, self.policy, self._correct)

    def _correct(self, decision: Decision) -> float | None:
        if decision.after is None:
            return self.book.correct(decision, decision.reward)
        if decision.next_action is None:
            return None
        following = self.policy.weight[decision.after, decision.next_action].item()
        return self.book.correct(decision, decision.reward + self.config.discount * following)

    def state_dict(self) -> State:
        return {"visits": self.book.visits_RV.clone()}

    def load_state_dict(self, state: State) -> None:
        self.book.visits_RV.copy_(state["visits"])
