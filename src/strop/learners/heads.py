"""What learners read off a policy's heads: a number at each decision of a batch, of a whole batch, or behind a text."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from strop.functional.aggregation import sum_per_pick
from strop.functional.restriction import restricted
from strop.types import Batch, Heads, Keep, Policy, Reduce, Want

LOGITS: frozenset[Want] = frozenset({"logits"})

VALUE: frozenset[Want] = frozenset({"value"})
"""The heads that `state_value` needs."""


def decided(policy: Policy, batch: Batch, reduce: Reduce, want: frozenset[Want] = LOGITS) -> dict[str, Tensor]:
    """`policy.heads` of what each decision allows: where it is one of a few choices, all other logits and action values
    are -inf."""
    return policy.heads(batch, lambda heads: reduce(restricted(heads, batch)), want)


@torch.no_grad()
def read_batch(batch: Batch, micro_tokens: int, read: Callable[[Batch], Tensor], keep: Keep = "episode") -> Tensor:
    """`read` [B, T] of the whole batch, micro-batch by micro-batch: float64, without gradient.

    With keep="episode" the bootstrap slot of a truncated episode is read even where it is a row of its own.
    """
    whole_N = torch.zeros(batch.tokens_BT.numel(), dtype=torch.float64)
    for micro, slot_bt in batch.split(micro_tokens, keep):
        whole_N[slot_bt.flatten()] = read(micro).double().flatten()
    return whole_N.view_as(batch.tokens_BT)


def state_value(heads: Heads) -> dict[str, Tensor]:
    """V at every decision, from the value head."""
    assert heads.value_N is not None
    return {"value": heads.value_N}


def values_after(policy: Policy, wide: Batch) -> Tensor:
    """[B, T]: the value behind each marked action of `add_value_slots`, at that action; 0 elsewhere."""
    value_BT = policy.heads(wide, state_value, VALUE)["value"]
    return torch.where(wide.next_BT >= 0, value_BT.roll(-1, dims=1), 0.0)


def text_scores(policy: Policy, wide: Batch) -> Tensor:
    """[E]: the value behind the last token of each pick of `add_last_value_slots`; 0 for absent picks."""
    return sum_per_pick(values_after(policy, wide), wide)
