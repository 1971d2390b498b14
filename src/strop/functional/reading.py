"""Where values are read besides before each action: behind the last token of a turn, or of a whole text."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from strop.types import Batch


def read_after(batch: Batch, marked_BT: Tensor) -> Batch:
    """The same rows, one slot wider, whose value is also read in the slot behind each marked action."""
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
        next_BT=torch.where(marked_BT, behind_BT, -1),
    )


def read_after_last(batch: Batch) -> Batch:
    """`read_after` the last action of every pick."""
    slot_BT = torch.arange(batch.tokens_BT.numel()).view_as(batch.tokens_BT)
    last_B = torch.where(batch.action_BT, slot_BT, -1).amax(dim=1)
    last_E = torch.full_like(batch.group_E, -1).scatter_reduce(0, batch.episode_B, last_B, "amax")
    return read_after(batch, slot_BT == last_E[batch.episode_B].unsqueeze(1))
