"""IPO: identity preference optimisation, with a finite optimum where DPO diverges.

Azar et al. 2023 (2310.12036) eq. 17, with d = (log pi - log ref)(w) - (log pi - log ref)(l), summed over the answers:

    loss = (d - 1 / (2 tau))^2

Over all labelled pairs of two answers of a distribution mu it is smallest at pi = ref * exp(p(y beats mu) / tau) / Z:
the probability of winning takes the place of DPO's reward, so a certain label needs no infinite margin.

Differs from common code: the paper sums log-probs over the answer, and so does this file. TRL divides each log-ratio by
the answer's length (the authors agreed to it later), so that the same tau asks for a margin L times as large: to match
it on answers of L tokens, use tau / L.
Degenerates: a single pair ends at d = 1 / (2 tau), however certain the label is.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from torch import Tensor

from strop.functional.bounds import check_positive
from strop.learners.preference import Answers, LogprobLoss, Preference, PreferenceConfig
from strop.types import Policy, Sampling


def ipo_loss(chosen: Answers, rejected: Answers, tau: float) -> tuple[Tensor, Tensor]:
    """The squared distance of d from 1 / (2 tau), and d [P]."""
    difference_P = chosen.ratio_P - rejected.ratio_P
    return (difference_P - 1.0 / (2.0 * tau)).square(), difference_P


class IPO:
    """One gradient step per batch of pairs."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Config(PreferenceConfig):
        """Options of IPO.

        tau  weight of the KL to the policy at the start: larger keeps it closer
        """

        tau: float = 0.1

        def __post_init__(self) -> None:
            PreferenceConfig.__post_init__(self)
            check_positive("algorithm.tau", self.tau)

        def build(self, policy: Policy, sampling: Sampling, micro_tokens: int, seed: int = 0) -> Preference:
            loss = LogprobLoss(partial(ipo_loss, tau=self.tau), policy.reference())
            return Preference("IPO", self.optimizer, policy, micro_tokens, loss)
