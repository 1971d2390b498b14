"""Extra slots for values after a token: behind the last token of a step or of a whole text."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from strop.types import Batch


def add_value_slots(batch: Batch, marked_BT: Tensor) -> Batch:
    """The same rows, one slot wider, with a decision (a value to read) in the slot behind each marked action."""
    rows, width = batch.tokens_BT.shape

    def wider(x_BT: Tensor, fill: float) -> Tensor:
        return torch.cat([x_BT, torch.full((rows, 1), fill, dtype=x_BT.dtype)], dim=1)

    marked_BT = wider(marked_BT, False)
    behind_BT = torch.arange(1, rows * (width + 1) + 1).view(rows, width + 1)
    return replace(
        batch,
        tokens_BT=wider(batch.tokens_BT, 0),
        action_BT=wider(batch.action_BT, False),
        logprobs_BT=wider(batch.logprobs_BT, torch.nan),
        rewards_BT=wider(batch.rewards_BT, 0.0),
        allowed_BT=wider(batch.allowed_BT, -1),
        next_BT=torch.where(marked_BT, behind_BT, -1),
    )


def add_last_value_slots(batch: Batch) -> Batch:
    """`add_value_slots` behind the last action of every pick."""
    slots_BT = batch.slots_BT
    last_B = torch.where(batch.action_BT, slots_BT, -1).amax(dim=1)
    last_E = torch.full_like(batch.group_E, -1).scatter_reduce(0, batch.episode_B, last_B, "amax")
    return add_value_slots(batch, slots_BT == last_E[batch.episode_B].unsqueeze(1))
