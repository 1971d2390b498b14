"""Importance ratios between the policy that learns and the one that acted, and the clipped objective on them."""

from __future__ import annotations

import torch
from torch import Tensor

from strop.types import Batch


def log_ratio(logprobs_BT: Tensor, old_BT: Tensor, mask_BT: Tensor) -> Tensor:
    """log pi - log pi_old on the masked slots, 0 elsewhere (so that a NaN outside the mask stays outside)."""
    return torch.where(mask_BT, logprobs_BT - torch.where(mask_BT, old_BT, 0.0), 0.0)


def sequence_log_ratio(log_ratio_BT: Tensor, batch: Batch) -> Tensor:
    """The sum of log-ratios over all rows of each slot's episode, given back to every slot. Needs whole episodes."""
    total_E = log_ratio_BT.new_zeros(batch.group_E.shape[0]).index_add(0, batch.episode_B, log_ratio_BT.sum(dim=1))
    return total_E[batch.episode_B].unsqueeze(1).expand_as(log_ratio_BT)


def clipped_loss(ratio_BT: Tensor, advantage_BT: Tensor, low: float, high: float) -> Tensor:
    """max(-rho A, -clip(rho, 1 - low, 1 + high) A): PPO (1707.06347, eq. 7) as a loss per token."""
    clipped_BT = ratio_BT.clamp(1.0 - low, 1.0 + high)
    return torch.maximum(-ratio_BT * advantage_BT, -clipped_BT * advantage_BT)


def clip_active(ratio_BT: Tensor, advantage_BT: Tensor, low: float, high: float) -> Tensor:
    """bool [B, T]: the slots whose gradient the clip removes (not: every ratio outside the band)."""
    return ((ratio_BT > 1.0 + high) & (advantage_BT > 0)) | ((ratio_BT < 1.0 - low) & (advantage_BT < 0))
