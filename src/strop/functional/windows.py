"""Sums over the next n decisions of a chain, for n-step targets and multi-step consistency."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from strop.functional.returns import next_value
from strop.types import Batch


class Window(NamedTuple):
    """At each slot: the discounted sum of the next terms, where the window ends, and discount^(number of terms).

    `end_BT` is the flat index of the decision after the window, -1 where the episode terminated inside it.
    """

    sum_BT: Tensor
    end_BT: Tensor
    factor_BT: Tensor

    def bootstrapped(self, value_BT: Tensor) -> Tensor:
        """sum + factor * value of the decision after the window (0 where there is none)."""
        return self.sum_BT + self.factor_BT * next_value(value_BT, self.end_BT)


def window(term_BT: Tensor, batch: Batch, discount: float, num_steps: int | None) -> Window:
    """sum_{k < n} discount^k term_{t+k} along `next_BT` from every action; differentiable in the terms.

    n is `num_steps`, or fewer where the chain ends or reaches a slot without an action (a bootstrap slot); None means
    to the end of the chain. Slots without an action have an empty window.
    """
    last = term_BT.numel()  # an extra slot for the end: term 0, its own successor
    term_N = torch.cat([term_BT.flatten(), term_BT.new_zeros(1)])
    next_N = torch.cat([batch.next_BT.flatten(), batch.next_BT.new_tensor([last])])
    next_N = torch.where(next_N < 0, last, next_N)
    acts_N = torch.cat([batch.action_BT.flatten(), batch.action_BT.new_zeros(1)])
    at_N = torch.arange(last, device=term_BT.device)
    sum_N, factor_N = torch.zeros_like(term_N[:last]), torch.ones_like(term_N[:last])
    num_left = last if num_steps is None else num_steps
    while num_left and bool((going_N := acts_N[at_N]).any()):
        sum_N = sum_N + torch.where(going_N, factor_N * term_N[at_N], 0.0)
        factor_N = torch.where(going_N, discount * factor_N, factor_N)
        at_N = torch.where(going_N, next_N[at_N], at_N)
        num_left -= 1
    end_N = torch.where(at_N == last, -1, at_N)
    return Window(sum_N.view_as(term_BT), end_N.view_as(term_BT), factor_N.view_as(term_BT))
