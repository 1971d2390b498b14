"""Importance ratios between the learner and an older policy, and the clipped objective."""

from __future__ import annotations

import torch
from torch import Tensor

from strop.functional.aggregation import num_actions_E
from strop.functional.bounds import check_at_least
from strop.types import Batch


def log_ratio(logprobs_BT: Tensor, old_BT: Tensor, mask_BT: Tensor) -> Tensor:
    """log pi - log pi_old on the masked slots, 0 elsewhere (so that a NaN outside the mask stays outside)."""
    return torch.where(mask_BT, logprobs_BT - torch.where(mask_BT, old_BT, 0.0), 0.0)


def sequence_log_ratio(log_ratio_BT: Tensor, batch: Batch) -> Tensor:
    """The sum of log-ratios over all rows of each slot's episode, at every slot. Needs whole episodes."""
    total_E = log_ratio_BT.new_zeros(batch.group_E.shape[0]).index_add(0, batch.episode_B, log_ratio_BT.sum(dim=1))
    return total_E[batch.episode_B].unsqueeze(1).expand_as(log_ratio_BT)


def mean_log_ratio(log_ratio_BT: Tensor, batch: Batch) -> Tensor:
    """The mean of log-ratios over the actions of each slot's episode (GSPO). Needs whole episodes."""
    length_B1 = num_actions_E(batch).clamp(min=1)[batch.episode_B].unsqueeze(1)
    return sequence_log_ratio(log_ratio_BT, batch) / length_B1


def clipped_loss(ratio_BT: Tensor, advantage_BT: Tensor, low: float, high: float, dual: float | None = None) -> Tensor:
    """max(-rho A, -clip(rho, 1 - low, 1 + high) A): PPO (1707.06347, eq. 7) as a loss per token.

    `dual` is an upper bound of rho where A < 0, which the plain clip does not have: the dual clip (1912.09729, 3)
    and the two-sided delta of INTELLECT-2 (2505.07291, 4) are the same function for dual >= 1 + high.
    """
    clipped_BT = ratio_BT.clamp(1.0 - low, 1.0 + high)
    bounded_BT = ratio_BT if dual is None else ratio_BT.clamp(max=dual)
    return torch.maximum(-bounded_BT * advantage_BT, -clipped_BT * advantage_BT)


def clip_active(ratio_BT: Tensor, advantage_BT: Tensor, low: float, high: float, dual: float | None = None) -> Tensor:
    """bool [B, T]: the slots whose gradient the clip removes (not: every ratio outside the band)."""
    active_BT = ((ratio_BT > 1.0 + high) & (advantage_BT > 0)) | ((ratio_BT < 1.0 - low) & (advantage_BT < 0))
    return active_BT if dual is None else active_BT | ((ratio_BT > dual) & (advantage_BT < 0))


def check_clip(low: float, high: float, dual: float | None = None) -> None:
    """Refuse meaningless bounds."""
    if not 0.0 <= low <= 1.0 or not high >= 0.0:
        raise ValueError(
            f"algorithm.clip keeps ratios in [1 - clip_low, 1 + clip_high], here clip_low={low} and clip_high={high}: "
            "the first lies in [0, 1], the second is 0 or above."
        )
    check_at_least("algorithm.dual_clip", dual, 1.0 + high, hint="the clip ends there", none="bounds nothing")
