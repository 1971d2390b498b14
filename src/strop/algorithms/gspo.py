"""GSPO: group sequence policy optimisation.

Zheng et al. 2025 (2507.18071) eq. 5-7:

    s_i = (pi(y_i) / pi_old(y_i))^(1/L_i) = exp( 1/L_i sum_t log pi - log pi_old )
    loss = 1/B sum_i max(-s_i A_i, -clip(s_i, 1 - clip_low, 1 + clip_high) A_i),     A_i as in GRPO

One ratio a sequence, as the reward is one number a sequence. It is a geometric mean over the tokens, so it stays near 1
and its clip range is some five hundred times narrower than a token's 0.2: 3e-4 below and 4e-4 above.

Differs from the paper: KL is off, and a batch is one step by default (the paper: four mini-batches). GSPO-token,
sg(s_i) rho_it / sg(rho_it), has the same gradient where the advantage is one number a sequence, as here, so it is not
offered.
Degenerates: with one epoch every s_i is 1 and the gradient is GRPO's. Because of the division by L_i, s_i is not an
importance weight: the estimate is biased as soon as the policy moves.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from torch import Tensor

from strop.functional.advantages import group_relative
from strop.functional.aggregation import sequence_mean
from strop.functional.objectives import clip_metrics
from strop.functional.ratios import check_clip, clipped_loss, log_ratio, mean_log_ratio
from strop.learners.policy_gradient import PolicyGradient, RatioConfig
from strop.types import Batch, Extras, Metrics, Policy, Sampling


def gspo_loss(
    micro: Batch,
    logprobs_BT: Tensor,
    old_BT: Tensor,
    advantage_BT: Tensor,
    weight_BT: Tensor,
    low: float,
    high: float,
) -> tuple[Tensor, Metrics]:
    """sum w max(-s A, -clip(s) A) under the weights of `sequence_mean`; needs whole episodes."""
    ratio_BT = mean_log_ratio(log_ratio(logprobs_BT, old_BT, micro.action_BT), micro).exp()
    loss = (weight_BT * clipped_loss(ratio_BT, advantage_BT, low, high)).sum()
    return loss, clip_metrics(micro, ratio_BT, advantage_BT, low, high)


class GSPO:
    """`epochs` gradient steps per batch on group-normalised advantages and one ratio a sequence."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Config(RatioConfig):
        """Options of GSPO.

        clip_low   lower end of the clip range of a sequence's ratio: 1 - clip_low
        clip_high  upper end of the clip range of a sequence's ratio: 1 + clip_high
        """

        extras: ClassVar[Extras] = Extras(least=2)
        clip_low: float = 3e-4
        clip_high: float = 4e-4

        def __post_init__(self) -> None:
            RatioConfig.__post_init__(self)
            check_clip(self.clip_low, self.clip_high)

        def build(self, policy: Policy, sampling: Sampling, micro_tokens: int, seed: int = 0) -> PolicyGradient:
            return PolicyGradient(
                "GSPO",
                self,
                policy,
                sampling,
                micro_tokens,
                advantage=group_relative,
                weight=sequence_mean,
                loss=partial(gspo_loss, low=self.clip_low, high=self.clip_high),
                keep="episode",
            )
