"""Expected SARSA: SARSA with the mean over the next action in place of a sample of it.

van Seijen et al. 2009; Sutton & Barto 2018 eq. 6.9. For every decision, in the order in which it was taken:

    Q(s, a) <- Q(s, a) + rate * [ r + discount * sum_b pi(b | s') Q(s', b) - Q(s, a) ]

and only r where the episode terminated. pi is the distribution that the run samples from, temperature and epsilon
included, at the step that the episode was played in (schedules are resolved by the episode's version), read off the
table as it stands. Its mean replaces SARSA's noise, so that rate 1 is stable where rewards and transitions are
deterministic. With `target` pi is that distribution instead, whoever acts (S&B sec. 6.6): the method is off-policy, and
needs no importance weights because the mean over b is exact. It may then learn from a replay or from data.

Differs from the paper: the corrections are made after the episodes of the step are over.
Degenerates: at temperature 0 without epsilon it is Q-learning, and so it is with that `target`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from strop.functional.distributions import probs_of
from strop.learners.tabular import Book, Decision, check_rates, require_table, sweep
from strop.memory import Fresh
from strop.policies.table import Table
from strop.types import Batch, Policy, Sampling, State, Update, check_fields


def expected_value(q_V: Tensor, sampling: Sampling) -> float:
    """sum_b pi(b) Q(b) under the distribution that `sampling` draws from."""
    probs_V = probs_of(q_V.unsqueeze(0), sampling).squeeze(0)
    return (probs_V * q_V).sum().item()


class ExpectedSARSA:
    """One pass over the batch's decisions in order."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Config:
        """Its fields.

        rate        learning rate of a correction (alpha)
        rate_decay  power by which visits shrink the rate; 0 keeps it
        discount    what a reward counts for one decision earlier; 1 counts all alike
        target      the distribution whose values are learnt; none takes the one that acts
        """

        reads: ClassVar[str] = "tasks"
        memory: ClassVar[type] = Fresh.Config
        rate: float = 0.1
        rate_decay: float = 0.0
        discount: float = 0.99
        target: Sampling | None = None

        @property
        def off_policy(self) -> bool:
            """Whether the distribution that acts may be another one."""
            return self.target is not None

        def __post_init__(self) -> None:
            check_fields(self)
            check_rates(self.rate, self.rate_decay, self.discount)

        def build(self, policy: Policy, sampling: Sampling, micro_tokens: int) -> ExpectedSARSA:
            return ExpectedSARSA(self, require_table(policy, "expected SARSA"), sampling)

    def __init__(self, config: ExpectedSARSA.Config, policy: Table, sampling: Sampling) -> None:
        self.config, self.policy, self.sampling = config, policy, config.target or sampling
        self.book = Book(policy.weight, config.rate, config.rate_decay)

    def update(self, batch: Batch) -> Update:
        """Correct the table in place."""
        return sweep(batch, self.policy, self._correct)

    def _correct(self, decision: Decision) -> float:
        target = decision.reward
        if decision.after is not None:
            sampling = self.sampling.at(decision.version)
            target += self.config.discount * expected_value(self.policy.weight[decision.after], sampling)
        return self.book.correct(decision, target)

    def state_dict(self) -> State:
        return {"visits": self.book.visits_RV.clone()}

    def load_state_dict(self, state: State) -> None:
        self.book.visits_RV.copy_(state["visits"])
