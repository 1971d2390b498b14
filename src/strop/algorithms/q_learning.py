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

from strop.learners.tabular import Book, Decision, check_rates, require_table, sweep
from strop.memory import Fresh
from strop.policies.table import Table
from strop.types import Batch, Policy, Sampling, State, Update, check_fields


def q_target(reward: float, next_best: float | None, discount: float) -> float:
    """r + discount * max_b Q(s', b); only r where nothing follows."""
    return reward if next_best is None else reward + discount * next_best


class QLearning:
    """One pass over the batch's decisions in order; the batch's other decisions see each correction at once."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Config:
        """Its fields.

        rate        learning rate of a correction (alpha)
        rate_decay  power by which visits shrink the rate; 0 keeps it
        discount    what a reward counts for one decision earlier; 1 counts all alike
        """

        reads: ClassVar[str] = "tasks"
        memory: ClassVar[type] = Fresh.Config
        off_policy: ClassVar[bool] = True
        rate: float = 0.1
        rate_decay: float = 0.0
        discount: float = 0.99

        def __post_init__(self) -> None:
            check_fields(self)
            check_rates(self.rate, self.rate_decay, self.discount)

        def build(self, policy: Policy, sampling: Sampling, micro_tokens: int) -> QLearning:
            return QLearning(self, require_table(policy, "Q-learning"))

    def __init__(self, config: QLearning.Config, policy: Table) -> None:
        self.config, self.policy = config, policy
        self.book = Book(policy.weight, config.rate, config.rate_decay)

    def update(self, batch: Batch) -> Update:
        """Correct the table in place."""
        return sweep(batch, self.policy, self._correct)

    def _correct(self, decision: Decision) -> float:
        next_best = None if decision.after is None else self.book.best(decision.after)
        return self.book.correct(decision, q_target(decision.reward, next_best, self.config.discount))

    def state_dict(self) -> State:
        return {"visits": self.book.visits_RV.clone()}

    def load_state_dict(self, state: State) -> None:
        self.book.visits_RV.copy_(state["visits"])
