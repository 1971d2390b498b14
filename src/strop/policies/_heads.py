"""What the `heads` methods of all policies share."""

from __future__ import annotations

import torch
from torch import Tensor

from strop.types import Want

LOGITS: frozenset[Want] = frozenset({"logits"})
"""The default of `want`."""


def scatter(value_N: Tensor, decision_BT: Tensor) -> Tensor:
    """The values of decisions in their slots [B, T], 0 elsewhere; differentiable."""
    empty_BT = torch.zeros(decision_BT.shape, dtype=value_N.dtype, device=value_N.device)
    return empty_BT.masked_scatter(decision_BT, value_N)
