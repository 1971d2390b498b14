"""SARSA: on-policy temporal differences; the values of the acting policy, exploration included.

Rummery & Niranjan 1994; Sutton & Barto 2018 eq. 6.7. For every decision, in the order in which it was taken:

    Q(s, a) <- Q(s, a) + rate * [ r + discount * Q(s', a') - Q(s, a) ]

with a' the action that was taken in s', and only r where the episode terminated. `rate` shrinks with visits as in
Q-learning. With decaying exploration (a schedule for sampling.epsilon) the values become Q*.

Differs from the paper: the corrections are made after the episodes of the step are over, not while they are played. The
last decision of a TRUNCATED episode has no a' and is skipped; expected SARSA learns from it too.
Degenerates: with a constant epsilon the values are those of the exploring policy and stay below Q*.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from strop.learners.tabular import ActionValues, Decision, Tabular, TabularConfig
from strop.types import Policy, Sampling


def sarsa_target(decision: Decision, values: ActionValues, _: ActionValues, discount: float) -> float | None:
    """r + discount * Q(s', a'); only r where the episode terminated, and nothing where it was cut before a'."""
    if decision.after is None:
        return decision.reward
    if decision.next_action is None:
        return None
    return decision.reward + discount * values.q_RV[decision.after, decision.next_action].item()


class SARSA:
    """One pass over the batch's decisions in order."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Config(TabularConfig):
        """The options of every tabular method."""

        def build(self, policy: Policy, sampling: Sampling, micro_tokens: int, seed: int = 0) -> Tabular:
            return Tabular("SARSA", self, policy, partial(sarsa_target, discount=self.discount))
