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
from functools import partial

from torch import Tensor

from strop.functional.distributions import probs_of
from strop.learners.tabular import ActionValues, Decision, Tabular, TabularConfig
from strop.types import Policy, Sampling


def expected_value(q_V: Tensor, sampling: Sampling) -> float:
    """sum_b pi(b) Q(b) under the distribution that `sampling` draws from."""
    probs_V = probs_of(q_V.unsqueeze(0), sampling).squeeze(0)
    return (probs_V * q_V).sum().item()


def expected_sarsa_target(
    decision: Decision, values: ActionValues, _: ActionValues, discount: float, sampling: Sampling
) -> float:
    """r + discount * sum_b pi(b | s') Q(s', b); only r where nothing follows."""
    if decision.after is None:
        return decision.reward
    return decision.reward + discount * expected_value(values.q_RV[decision.after], sampling.at(decision.version))


class ExpectedSARSA:
    """One pass over the batch's decisions in order."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Config(TabularConfig):
        """Its fields.

        target  the distribution whose values are learnt; none takes the one that acts
        """

        target: Sampling | None = None

        @property
        def off_policy(self) -> bool:
            """Whether the distribution that acts may be another one."""
            return self.target is not None

        def build(self, policy: Policy, sampling: Sampling, micro_tokens: int, seed: int = 0) -> Tabular:
            target = partial(expected_sarsa_target, discount=self.discount, sampling=self.target or sampling)
            return Tabular("expected SARSA", self, policy, target)
