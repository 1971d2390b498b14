"""A policy's numbers at every decision of a batch, and what value-based algorithms say of their errors."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from strop.functional.aggregation import scored_actions
from strop.types import Batch, Heads, Keep, Max, Mean, Metrics, Want

VALUE: frozenset[Want] = frozenset({"value"})
"""What a policy is asked for where only `state_value` reads it."""


@torch.no_grad()
def whole(batch: Batch, micro_tokens: int, read: Callable[[Batch], Tensor], keep: Keep = "episode") -> Tensor:
    """What `read` says [B, T] of a micro-batch, put together for the whole batch: float64, without gradient.

    Where episodes stay whole, the slot where a truncated one is bootstrapped is read even in a row of its own.
    """
    whole_N = torch.zeros(batch.tokens_BT.numel(), dtype=torch.float64)
    for micro, slot_bt in batch.split(micro_tokens, keep):
        whole_N[slot_bt.flatten()] = read(micro).double().flatten()
    return whole_N.view_as(batch.tokens_BT)


def state_value(heads: Heads) -> dict[str, Tensor]:
    """V at every decision, from the value head."""
    assert heads.value_N is not None
    return {"value": heads.value_N}


def error_metrics(error_BT: Tensor, q_BT: Tensor, micro: Batch) -> Metrics:
    """The size of the temporal-difference errors, and of the action values of what was done: values far beyond
    reward / (1 - discount) are overestimated."""
    mask_BT = scored_actions(micro)
    error_N, q_N = error_BT[mask_BT].abs(), q_BT[mask_BT].double()
    if not len(error_N):
        return {}
    return {
        "q/error_mean": Mean(error_N.sum().item(), len(error_N)),
        "q/error_max": Max(error_N.max().item()),
        "q/mean": Mean(q_N.sum().item(), len(q_N)),
        "q/largest": Max(q_N.abs().max().item()),
    }
