"""Attention of left-padded prompts, which remembers keys and values for decoding."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention


@dataclass(frozen=True, slots=True)
class PromptAttention:
    """One pass over P prompts.

    mask_P1TT        the keys that a token attends to; None where nothing is padded, and attention is causal
    keys_and_values  [K, P, T, D] of each layer so far, heads first, in float32
    """

    mask_P1TT: Tensor | None
    keys_and_values: list[tuple[Tensor, Tensor]] = field(default_factory=list)

    @classmethod
    def of(cls, mask_PT: Tensor) -> PromptAttention:
        """For prompts where the mask is true at tokens, and false at padding."""
        if bool(mask_PT.all()):
            return cls(None)
        width = mask_PT.shape[1]
        causal_TT = torch.ones(width, width, dtype=torch.bool).tril()
        return cls(causal_TT & mask_PT[:, None, None, :])

    def __call__(self, query: Tensor, key: Tensor, value: Tensor, scaling: float) -> Tensor:
        """From [P, heads, T, D] to [P, T, heads * D]. Queries and keys are rounded to the values' type: autocast leaves
        rotated ones in float32."""
        query, key = query.to(value.dtype), key.to(value.dtype)
        self.keys_and_values.append((_heads_first(key), _heads_first(value)))
        groups = query.shape[1] // key.shape[1]
        if self.mask_P1TT is None:
            is_causal = query.shape[2] > 1
            out = scaled_dot_product_attention(
                query, key, value, is_causal=is_causal, scale=scaling, enable_gqa=groups > 1
            )
        else:
            key, value = (one.repeat_interleave(groups, dim=1) for one in (key, value))
            out = scaled_dot_product_attention(query, key, value, attn_mask=self.mask_P1TT, scale=scaling)
        return out.transpose(1, 2).flatten(2)


def _heads_first(states_PKTD: Tensor) -> Tensor:
    """[K, P, T, D] in float32, copied: the tensors of the pass may be larger, and are freed."""
    return states_PKTD.transpose(0, 1).to(torch.float32, copy=True, memory_format=torch.contiguous_format)
