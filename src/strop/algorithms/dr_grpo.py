"""Dr. GRPO: GRPO without its two biases.

Liu et al. 2025 ("Understanding R1-Zero-like training", 2503.20783) sec. 3:

    A_i = r_i - mean(r)                                             no division by std
    loss = 1/(B * L_max) sum_i sum_t max(-rho_it A_i, -clip(rho_it, 1 - clip, 1 + clip) A_i)     no 1/L_i

L_max is a constant of the config, never the width of a batch, so padding and batch size do not change the step.

Differs from the paper: nothing with KL off; KL in the reward is subtracted from the return before the group mean.
Degenerates: the expected gradient is (G - 1)/G of the true one over L_max, since a sample is part of its own mean.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from torch import Tensor

from strop.functional.advantages import group_mean
from strop.functional.aggregation import constant, spread, sum_per_pick
from strop.functional.bounds import check_at_least
from strop.functional.objectives import token_objective
from strop.functional.ratios import check_clip
from strop.learners.policy_gradient import PolicyGradient, RatioConfig
from strop.types import Batch, Extras, Policy, Sampling


def centred(batch: Batch, penalty_BT: Tensor) -> Tensor:
    """[B, T]: the return minus its KL penalty, minus the mean of the group."""
    return spread(group_mean(batch.return_E - sum_per_pick(penalty_BT, batch), batch.group_E), batch)


class DrGRPO:
    """`epochs` gradient steps per batch on centred returns with a constant denominator."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Config(RatioConfig):
        """Options of DrGRPO.

        clip        clip range of a token's ratio: 1 - clip to 1 + clip
        dual_clip   upper bound of the ratio where A < 0; none is off
        max_tokens  the constant length L_max; none is sampling.max_tokens
        """

        extras: ClassVar[Extras] = Extras(least=2)
        clip: float = 0.2
        dual_clip: float | None = None
        max_tokens: int | None = None

        def __post_init__(self) -> None:
            RatioConfig.__post_init__(self)
            check_clip(self.clip, self.clip, self.dual_clip)
            check_at_least("algorithm.max_tokens", self.max_tokens, 1, none="takes that of the sampling")

        def build(self, policy: Policy, sampling: Sampling, micro_tokens: int, seed: int = 0) -> PolicyGradient:
            longest = sampling.max_tokens if self.max_tokens is None else self.max_tokens
            return PolicyGradient(
                "Dr. GRPO",
                self,
                policy,
                sampling,
                micro_tokens,
                advantage=centred,
                weight=partial(constant, max_tokens=longest),
                loss=partial(token_objective, low=self.clip, high=self.clip, dual=self.dual_clip),
            )
