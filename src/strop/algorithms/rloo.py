"""RLOO: REINFORCE with the other samples of the group as the baseline.

Kool, van Hoof & Welling 2019 ("Buy 4 REINFORCE samples, get a baseline for free"); Ahmadian et al. 2024 (2402.14740):

    A_i = R_i - mean of R_j over j != i,   R_i = r_i - kl.weight * sum_t k1_it
    loss = mean_i max(-rho_i A_i, -clip(rho_i, 1 - clip, 1 + clip) A_i),   rho_i = exp(sum_t log pi - log pi_old)

The whole completion is one action: one ratio, one advantage. Unbiased: the baseline of a sample does not depend on it.
Where `kl.placement` is "loss", the mean over sequences of the sum of their tokens' KL terms is added.

Differs from the paper: the ratio is clipped (as TRL does), which acts only with `epochs` > 1; with one epoch the
gradient is exactly A_i * grad log pi(y_i).
Degenerates: a group of one sample has no baseline and teaches nothing; equal returns in a group give exactly 0.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import ClassVar

from torch import Tensor

from strop.functional.advantages import leave_one_out
from strop.functional.aggregation import sequence_sum, spread, sum_per_pick
from strop.functional.divergences import KL
from strop.functional.objectives import sequence_objective
from strop.functional.ratios import check_clip
from strop.learners.policy_gradient import PolicyGradient, RatioConfig
from strop.types import Batch, Extras, Policy, Sampling


def leave_one_out_advantage(batch: Batch, penalty_BT: Tensor) -> Tensor:
    """[B, T]: the return minus its KL penalty, minus the mean of the group's other members."""
    return spread(leave_one_out(batch.return_E - sum_per_pick(penalty_BT, batch), batch.group_E), batch)


class RLOO:
    """`epochs` gradient steps per batch on leave-one-out advantages."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Config(RatioConfig):
        """Options of RLOO.

        clip  clip range of a sequence's ratio: 1 - clip to 1 + clip
        """

        extras: ClassVar[Extras] = Extras(least=2)
        kl: KL = field(default_factory=lambda: KL(weight=0.05))
        clip: float = 0.2

        def __post_init__(self) -> None:
            RatioConfig.__post_init__(self)
            check_clip(self.clip, self.clip)

        def build(self, policy: Policy, sampling: Sampling, micro_tokens: int, seed: int = 0) -> PolicyGradient:
            return PolicyGradient(
                "RLOO",
                self,
                policy,
                sampling,
                micro_tokens,
                advantage=leave_one_out_advantage,
                weight=sequence_sum,
                loss=partial(sequence_objective, low=self.clip, high=self.clip),
                keep="episode",
            )
