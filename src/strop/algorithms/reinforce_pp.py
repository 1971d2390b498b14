"""REINFORCE++: PPO without a critic, its advantages whitened over the whole batch.

Hu 2025 (2501.03262):

    r_it = reward_it - kl.weight * k1_it,     G_it = sum_{k >= t} discount^(k - t) r_ik
    A_it = (G_it - mean) / (std + 1e-8) over ALL tokens of the batch
    loss = sum_it max(-rho_it A_it, -clip(rho_it, 1 - clip, 1 + clip) A_it) / sum_i L_i

With `group_baseline` (the paper's REINFORCE++-baseline) the mean return of the group, KL included, is subtracted first:
rewards of hard and easy prompts become comparable, and there is still one std.

Differs from the paper: the std is the population's (over n tokens, not n - 1), so that duplicating a batch changes
nothing; with `group_baseline` the KL stays where `kl.placement` puts it (the paper: k2 in the loss).
Degenerates: a batch whose returns are all equal gives 0. Whitening divides by a number that depends on the samples, and
its mean contains the sample itself, so the expected gradient is biased; the bias falls with the size of the batch.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial

from torch import Tensor

from strop.functional.advantages import group_mean, whitened
from strop.functional.aggregation import scored_actions, spread, sum_per_pick, token_mean
from strop.functional.bounds import check_share
from strop.functional.divergences import KL
from strop.functional.objectives import token_objective
from strop.functional.ratios import check_clip
from strop.functional.returns import returns_to_go
from strop.learners.policy_gradient import PolicyGradient, RatioConfig
from strop.types import Batch, Extras, Policy, Sampling


def whitened_returns(batch: Batch, penalty_BT: Tensor, discount: float, group_baseline: bool) -> Tensor:
    """The returns to go minus their KL penalty [B, T], whitened over all tokens of the batch."""
    return_BT = returns_to_go(batch.rewards_BT - penalty_BT, batch.next_BT, discount)
    if group_baseline:
        return_E = batch.return_E - sum_per_pick(penalty_BT, batch)
        baseline_E = return_E - group_mean(return_E, batch.group_E)
        return_BT = return_BT - spread(baseline_E.nan_to_num(0.0), batch)
    return whitened(return_BT, scored_actions(batch))


class REINFORCEPlusPlus:
    """`epochs` gradient steps per batch on returns to go, whitened over the batch."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Config(RatioConfig):
        """Options of REINFORCEPlusPlus.

        discount        discount factor per decision; 1 is undiscounted
        group_baseline  subtract the group's mean return before whitening
        clip            clip range of a token's ratio: 1 - clip to 1 + clip
        """

        kl: KL = field(default_factory=lambda: KL(weight=0.01))
        discount: float = 1.0
        group_baseline: bool = False
        clip: float = 0.2

        def __post_init__(self) -> None:
            RatioConfig.__post_init__(self)
            check_share("algorithm.discount", self.discount)
            check_clip(self.clip, self.clip)

        @property
        def extras(self) -> Extras:
            """A group baseline needs groups of 2."""
            return Extras(least=2 if self.group_baseline else 1)

        def build(self, policy: Policy, sampling: Sampling, micro_tokens: int, seed: int = 0) -> PolicyGradient:
            return PolicyGradient(
                "REINFORCE++",
                self,
                policy,
                sampling,
                micro_tokens,
                advantage=partial(whitened_returns, discount=self.discount, group_baseline=self.group_baseline),
                weight=token_mean,
                loss=partial(token_objective, low=self.clip, high=self.clip),
            )
