"""GRPO: group-relative policy optimisation.

Shao et al. 2024 (DeepSeekMath, 2402.03300) eq. 3-4:

    A_i = (r_i - mean(r)) / (std(r) + 1e-4) over the G answers to one prompt
    loss = 1/B sum_i 1/L_i sum_t max(-rho_it A_i, -clip(rho_it, 1 - clip, 1 + clip) A_i) + kl.weight * KL_it

with rho_it = pi / pi_old of the token, the Bessel-corrected std, and the KL term where `kl.placement` is "loss".

Differs from the paper: KL is off by default (the paper: weight 0.04, k3 in the loss, which is the forward KL; see
`functional/divergences.py`). KL in the reward is subtracted AFTER normalisation, or its weight would change from prompt
to prompt with 1 / std.
Degenerates: a group whose rewards are all equal gives exactly 0. Dividing by std gives more weight to prompts that are
almost always or almost never solved, and 1/L_i favours long wrong answers. Dr. GRPO removes both, and RLOO is unbiased.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from strop.functional.advantages import group_relative
from strop.functional.aggregation import sequence_mean
from strop.functional.objectives import token_objective
from strop.functional.ratios import check_clip
from strop.learners.policy_gradient import PolicyGradient, RatioConfig
from strop.types import Extras, Policy, Sampling


class GRPO:
    """`epochs` gradient steps per batch on group-normalised advantages."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Config(RatioConfig):
        """Options of GRPO.

        clip       clip range of a token's ratio: 1 - clip to 1 + clip
        dual_clip  upper bound of the ratio where A < 0; none is off
        """

        extras: ClassVar[Extras] = Extras(least=2)
        clip: float = 0.2
        dual_clip: float | None = None

        def __post_init__(self) -> None:
            RatioConfig.__post_init__(self)
            check_clip(self.clip, self.clip, self.dual_clip)

        def build(self, policy: Policy, sampling: Sampling, micro_tokens: int, seed: int = 0) -> PolicyGradient:
            return PolicyGradient(
                "GRPO",
                self,
                policy,
                sampling,
                micro_tokens,
                advantage=group_relative,
                weight=sequence_mean,
                loss=partial(token_objective, low=self.clip, high=self.clip, dual=self.dual_clip),
            )
