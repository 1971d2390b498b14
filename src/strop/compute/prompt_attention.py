"""Attention of prompts, which remembers keys and values for decoding."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from strop.compute.ragged_attention import RaggedBatch


@dataclass(frozen=True, slots=True)
class PromptAttention:
    """One pass over P prompts.

    keys_and_values  [K, P, T, D] of each layer so far, heads first, in float32; padding stands where `mask_PT` is false
    """

    prompts: RaggedBatch
    keys_and_values: list[tuple[Tensor, Tensor]] = field(default_factory=list)

    @property
    def mask_PT(self) -> Tensor:
        """Where a prompt has a token, true; all of them begin at the first place, and some have padding behind."""
        return self.prompts.levels[-1].stands_BS

    def __call__(self, query: Tensor, key: Tensor, value: Tensor, scaling: float) -> Tensor:
        """Attention [1, S, heads * D] of [1, heads, S, D]."""
        out, (key_PKTD, value_PKTD) = self.prompts.attend_and_tell(query, key, value, scaling)
        self.keys_and_values.append((_heads_first(key_PKTD), _heads_first(value_PKTD)))
        return out


def _heads_first(states_PKTD: Tensor) -> Tensor:
    """[K, P, T, D] in float32, copied: the tensors of the pass may be larger, and are freed."""
    return states_PKTD.transpose(0, 1).to(torch.float32, copy=True, memory_format=torch.contiguous_format)
