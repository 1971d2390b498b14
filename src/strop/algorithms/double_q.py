"""Double Q-learning: one table chooses the best action, another evaluates it.

van Hasselt 2010, algorithm 1. For every decision one of two tables, here Q1, is corrected:

    Q1(s, a) <- Q1(s, a) + rate * [ r + discount * Q2(s', argmax_b Q1(s', b)) - Q1(s, a) ]

and only r where the episode terminated. The policy's own table holds the mean of both, and acts. Q-learning's max over
noisy values is biased upwards (E max > max E); here the evaluating table learnt from other samples.

Differs from the paper: the table with fewer corrections of (s, a) is next, instead of a random one; the tables are just
as independent, and no random numbers are needed. `rate` shrinks with the visits of the corrected table.
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
    best = own.best_action(decision.after, decision.allowed)
    return decision.reward + discount * other.q_RV[decision.after, best].item()


class DoubleQ:
    """One pass over the batch's decisions in order, each correcting one of the two tables."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Config(TabularConfig):
        """The options of every tabular method."""

        off_policy: ClassVar[bool] = True

        def build(self, policy: Policy, sampling: Sampling, micro_tokens: int, seed: int = 0) -> Tabular:
            target = partial(double_q_target, discount=self.discount)
            return Tabular("double Q-learning", self, policy, target, num_tables=2)
