"""What the `heads` methods of all policies share."""

from __future__ import annotations

from torch import Tensor

from strop.types import Want

LOGITS: frozenset[Want] = frozenset({"logits"})
"""The default of `want`."""


def scatter(value_N: Tensor, decision_BT: Tensor) -> Tensor:
    """The values of decisions in their slots [B, T] on the batch's device, 0 elsewhere; differentiable."""
    value_N = value_N.to(decision_BT.device)
    return value_N.new_zeros(decision_BT.shape).masked_scatter(decision_BT, value_N)
