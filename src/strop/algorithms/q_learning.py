"""Tabular Q-learning: off-policy temporal differences on a table of token prefixes.

Watkins & Dayan 1992; Sutton & Barto 2018 eq. 6.8. For every decision, in the order in which it was taken:

    Q(s, a) <- Q(s, a) + rate * [ r + discount * max_b Q(s', b) - Q(s, a) ]

where the max is 0 if the episode terminated; a TRUNCATED episode bootstraps from the state that would have followed.
`rate` shrinks with the visits n of (s, a) as rate / (n + 1)^rate_decay; with a decay in (0.5, 1] the Robbins-Monro
conditions hold and stochastic rewards converge.

Differs from the paper: nothing. (A common misprint puts the bracket behind the max, so that Q(s, a) cancels out; see
the documentation of the two-word example.)
Degenerates: without exploration (sampling.epsilon = 0) actions never tried keep their initial value.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from strop.learners.tabular import ActionValues, Decision, Tabular, TabularConfig
from strop.types import Policy, Sampling


def q_target(decision: Decision, values: ActionValues, _: ActionValues, discount: float) -> float:
    """r + discount * max_b Q(s', b); only r where nothing follows."""
    if decision.after is None:
        return decision.reward
    return decision.reward + discount * values.best(decision.after, decision.allowed)


class QLearning:
    """One pass over the batch's decisions in order; later decisions see the earlier corrections."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Config(TabularConfig):
        """The options of every tabular method."""

        off_policy: ClassVar[bool] = True

        def build(self, policy: Policy, sampling: Sampling, micro_tokens: int, seed: int = 0) -> Tabular:
            return Tabular("Q-learning", self, policy, partial(q_target, discount=self.discount))
