"""Expected SARSA: SARSA with the expectation over the next action instead of a sample.

van Seijen et al. 2009; Sutton & Barto 2018 eq. 6.9. For every decision, in the order in which it was taken:

    Q(s, a) <- Q(s, a) + rate * [ r + discount * sum_b pi(b | s') Q(s', b) - Q(s, a) ]

and only r where the episode terminated. pi is the run's sampling distribution, temperature and epsilon included, at the
step of the episode (schedules follow the episode's version), on the current table. The expectation removes SARSA's
sampling noise, so rate 1 is stable where rewards and transitions are deterministic. With `target`, pi is that
distribution instead, whichever policy acts (S&B sec. 6.6): the method is off-policy, without importance weights because
the mean over b is exact, and may learn from replay or data.

Differs from the paper: the corrections are made after the episodes of the step are over.
Degenerates: at temperature 0 without epsilon it is Q-learning, and so it is with that `target`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from torch import Tensor

from strop.functional.distributions import probs_of
from strop.learners.tabular import ActionValues, Decision, Tabular, TabularConfig
from strop.types import Policy, Sampling, Tokens


def expected_value(q_V: Tensor, sampling: Sampling, allowed: Tokens | None = None) -> float:
    """sum_b pi(b) Q(b) under the distribution that `sampling` draws from, over the tokens that are allowed."""
    q_V = q_V if allowed is None else q_V[list(allowed)]
    probs_V = probs_of(q_V.unsqueeze(0), sampling).squeeze(0)
    return (probs_V * q_V).sum().item()


def expected_sarsa_target(
    decision: Decision, values: ActionValues, _: ActionValues, discount: float, sampling: Sampling
) -> float:
    """r + discount * sum_b pi(b | s') Q(s', b); only r where nothing follows."""
    if decision.after is None:
        return decision.reward
    q_V = values.q_RV[decision.after]
    return decision.reward + discount * expected_value(q_V, sampling.at(decision.version), decision.allowed)


class ExpectedSARSA:
    """One pass over the batch's decisions in order."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Config(TabularConfig):
        """Options of ExpectedSARSA.

        target  sampling of the policy whose values are learnt; none is the acting one
        """

        target: Sampling | None = None

        @property
        def off_policy(self) -> bool:
            """Whether another policy may act."""
            return self.target is not None

        def build(self, policy: Policy, sampling: Sampling, micro_tokens: int, seed: int = 0) -> Tabular:
            target = partial(expected_sarsa_target, discount=self.discount, sampling=self.target or sampling)
            return Tabular("expected SARSA", self, policy, target)
