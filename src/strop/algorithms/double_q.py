"""Double Q-learning: two tables, so that the noise that chooses the best action does not also judge it.

van Hasselt 2010, algorithm 1. For every decision one of two tables, here Q1, is corrected:

    Q1(s, a) <- Q1(s, a) + rate * [ r + discount * Q2(s', argmax_b Q1(s', b)) - Q1(s, a) ]

and only r where the episode terminated. The policy's own table holds the mean of both, which is what acts.
Q-learning's max over noisy values is biased upwards (E max > max E); here the judging table saw other samples.

Differs from the paper: the table that was corrected less often at (s, a) is next, instead of a coin; the halves are as
independent, and a run needs no random stream for it. `rate` shrinks with the visits of the corrected table.
Degenerates: where rewards and transitions are deterministic nothing is gained, and each table learns half as fast.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from strop.learners.tabular import Book, Decision, check_rates, require_table, sweep
from strop.memory import Fresh
from strop.policies.table import Table
from strop.types import Batch, Policy, Sampling, State, Update, check_fields


class DoubleQ:
    """One pass over the batch's decisions in order, each correcting one of the two tables."""

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

        def build(self, policy: Policy, sampling: Sampling, micro_tokens: int) -> DoubleQ:
            return DoubleQ(self, require_table(policy, "double Q-learning"))

    def __init__(self, config: DoubleQ.Config, policy: Table) -> None:
        self.config, self.policy = config, policy
        self.books = [Book(policy.weight.detach().clone(), config.rate, config.rate_decay) for _ in range(2)]

    def update(self, batch: Batch) -> Update:
        """Correct one of the tables at each decision, and the policy's mean of them."""
        return sweep(batch, self.policy, self._correct)

    def _correct(self, decision: Decision) -> float:
        place = decision.row, decision.action
        own, other = sorted(self.books, key=lambda book: int(book.visits_RV[place]))
        target = decision.reward
        if decision.after is not None:
            best = own.number_RV[decision.after].argmax()
            target += self.config.discount * other.number_RV[decision.after, best].item()
        error = own.correct(decision, target)
        self.policy.weight[place] = (own.number_RV[place] + other.number_RV[place]) / 2
        return error

    def state_dict(self) -> State:
        first, second = ({"number": b.number_RV.clone(), "visits": b.visits_RV.clone()} for b in self.books)
        return {"first": first, "second": second}

    def load_state_dict(self, state: State) -> None:
        for book, name in zip(self.books, ("first", "second"), strict=True):
            book.number_RV.copy_(state[name]["number"])
            book.visits_RV.copy_(state[name]["visits"])
