"""Advantages of whole episodes, relative to the group that shares their prompt.

`return_E` is NaN where an episode is Unscored: it is left out of its group's statistics and has advantage 0.
"""

from __future__ import annotations

import torch
from torch import Tensor

from strop.functional.aggregation import spread, sum_per_pick
from strop.types import Batch


def _group_sum(value_E: Tensor, group_E: Tensor) -> Tensor:
    """Each group's sum, for every member."""
    _, member_E = torch.unique(group_E, return_inverse=True)
    total_G = value_E.new_zeros(int(member_E.max()) + 1).index_add(0, member_E, value_E)
    return total_G[member_E]


def group_size(return_E: Tensor, group_E: Tensor) -> Tensor:
    """The number of scored members of each one's group."""
    return _group_sum((~return_E.isnan()).to(return_E.dtype), group_E)


def has_signal(return_E: Tensor, group_E: Tensor) -> Tensor:
    """bool [E]: scored, in a group whose scored returns are not all equal. Tested by equality, not by a small std."""
    _, member_E = torch.unique(group_E, return_inverse=True)
    scored_E = ~return_E.isnan()
    num_groups = int(member_E.max()) + 1
    high_G = return_E.new_full((num_groups,), -torch.inf).scatter_reduce(
        0, member_E, return_E.masked_fill(~scored_E, -torch.inf), "amax"
    )
    low_G = return_E.new_full((num_groups,), torch.inf).scatter_reduce(
        0, member_E, return_E.masked_fill(~scored_E, torch.inf), "amin"
    )
    return scored_E & (high_G > low_G)[member_E]


def group_mean(return_E: Tensor, group_E: Tensor) -> Tensor:
    """r - mean(group): Dr. GRPO (2503.20783). Its expected gradient is (G-1)/G of the true one."""
    total_E = _group_sum(return_E.nan_to_num(0.0), group_E)
    advantage_E = return_E - total_E / group_size(return_E, group_E).clamp(min=1)
    return torch.where(has_signal(return_E, group_E), advantage_E, 0.0)


def group_normalised(return_E: Tensor, group_E: Tensor, epsilon: float = 1e-4) -> Tensor:
    """(r - mean) / (std + epsilon) with the Bessel-corrected std of the group: GRPO (2402.03300, eq. 4)."""
    advantage_E = group_mean(return_E, group_E)
    squares_E = _group_sum(advantage_E.square(), group_E)
    std_E = (squares_E / (group_size(return_E, group_E) - 1).clamp(min=1)).sqrt()
    return advantage_E / (std_E + epsilon)


def centred_penalty(batch: Batch, penalty_BT: Tensor) -> Tensor:
    """The KL penalty of each episode [E], minus its mean over the group; 0 for an Unscored episode."""
    penalty_E = sum_per_pick(penalty_BT, batch)
    return group_mean(penalty_E.masked_fill(batch.return_E.isnan(), torch.nan), batch.group_E)


def group_relative(batch: Batch, penalty_BT: Tensor) -> Tensor:
    """The normalised return minus the centred KL penalty, on all actions [B, T]: the advantage of GRPO and its kin.

    The penalty is subtracted after normalisation; before, 1/std would change its weight from group to group.
    """
    return spread(group_normalised(batch.return_E, batch.group_E) - centred_penalty(batch, penalty_BT), batch)


def leave_one_out(return_E: Tensor, group_E: Tensor) -> Tensor:
    """r - mean of the others: RLOO (Kool 2019; 2402.14740). Unbiased; a group of one has no baseline and gives 0."""
    size_E = group_size(return_E, group_E)
    return group_mean(return_E, group_E) * size_E / (size_E - 1).clamp(min=1)


def whitened(value_BT: Tensor, mask_BT: Tensor, epsilon: float = 1e-8) -> Tensor:
    """(x - mean) / (std + epsilon) over the masked slots, exactly 0 off the mask.

    The std has no Bessel correction, so that duplicating a batch changes nothing.
    """
    value_N = value_BT[mask_BT]
    if not len(value_N):
        return torch.zeros_like(value_BT)
    mean = value_N.mean()
    std = (value_N - mean).square().mean().sqrt()
    return torch.where(mask_BT, (value_BT - mean) / (std + epsilon), 0.0)
