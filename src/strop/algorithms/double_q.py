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
from functools import partial
from typing import ClassVar

from strop.learners.tabular import ActionValues, Decision, Tabular, TabularConfig
from strop.types import Policy, Sampling


def double_q_target(decision: Decision, own: ActionValues, other: ActionValues, discount: float) -> float:
    """r + discount * Q2(s', argmax_b Q1(s', b)); only r where nothing follows."""
    if decision.after is None:
        return decision.reward
    best = own.q_RV[decision.after].argmax()
    return decision.reward + discount * other.q_RV[decision.after, best].item()


class DoubleQ:
    """One pass over the batch's decisions in order, each correcting one of the two tables."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Config(TabularConfig):
        """The fields that every method of tables has."""

        off_policy: ClassVar[bool] = True

        def build(self, policy: Policy, sampling: Sampling, micro_tokens: int, seed: int = 0) -> Tabular:
            target = partial(double_q_target, discount=self.discount)
            return Tabular("double Q-learning", self, policy, target, num_tables=2)
