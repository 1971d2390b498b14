"""Sums of rewards along the chain of decisions.

The chain is `next_BT`: the flat index of the next decision, -1 at the end. Environment tokens lie between decisions,
and a rewritten prompt starts a new row, so the next decision need not be at t + 1.
"""

from __future__ import annotations

import torch
from torch import Tensor


def returns_to_go(rewards_BT: Tensor, next_BT: Tensor, discount: float | Tensor = 1.0) -> Tensor:
    """G_t = r_t + discount_t * G_next(t), with G = 0 past the end (Sutton & Barto 2018, eq. 3.9).

    `discount` is one number, or one for each slot [B, T].

    Pointer doubling: after k rounds G_t holds the first 2^k rewards of its chain; log2(longest chain) rounds suffice.
    """
    end = rewards_BT.numel()
    # the extra slot is the end: reward 0, its own successor
    return_N = torch.cat([rewards_BT.flatten(), rewards_BT.new_zeros(1)])
    next_N = torch.cat([next_BT.flatten(), next_BT.new_tensor([end])])
    next_N = torch.where(next_N < 0, end, next_N)
    factor_N = torch.zeros_like(return_N)
    factor_N[:end] = discount.flatten() if isinstance(discount, Tensor) else discount
    while bool((next_N < end).any()):
        return_N = return_N + factor_N * return_N[next_N]
        factor_N, next_N = factor_N * factor_N[next_N], next_N[next_N]
    return return_N[:end].view_as(rewards_BT)


def position_in_chain(next_BT: Tensor, decision_BT: Tensor) -> Tensor:
    """The number of decisions before each one in its chain: the t of gamma^t."""
    end = next_BT.numel()
    previous_N = torch.full((end + 1,), end, dtype=next_BT.dtype, device=next_BT.device)
    linked_BT = decision_BT & (next_BT >= 0)
    source_N = torch.arange(end, device=next_BT.device).view_as(next_BT)[linked_BT]
    previous_N[next_BT[linked_BT]] = source_N
    count_N = (previous_N < end).long()
    while bool((previous_N < end).any()):
        count_N = count_N + count_N[previous_N]
        previous_N = previous_N[previous_N]
    return count_N[:end].view_as(next_BT)


def next_value(value_BT: Tensor, next_BT: Tensor) -> Tensor:
    """The value at each slot's next decision, 0 where there is none."""
    value_N = value_BT.flatten()
    return torch.where(next_BT >= 0, value_N[next_BT.clamp(min=0)], torch.zeros((), dtype=value_BT.dtype))
