"""A decoder layer of a model like Llama: its forward pass over many tokens, with products of its own.

The order of operations is that of transformers' modules, so that only the products may round differently.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor

from strop.compute.linears import Linears

QUERY_NORM = frozenset({"qwen3"})
"""Model types that normalise queries and keys before they are rotated."""
SOME_UNROTATED = frozenset({"smollm3"})
"""Model types with layers that ignore positions."""
Multiply: TypeAlias = Callable[[Linears, Tensor], Sequence[Tensor]]
"""(layers, input [B, T, in]) -> each layer's output."""
Attend: TypeAlias = Callable[[Tensor, Tensor, Tensor, float], Tensor]
"""(query, key, value [B, heads, T, D], scaling) -> [B, T, heads * D]."""


class FastLayer:
    """The norms of one layer, which are the model's own, and its linear layers, grouped by what they read."""

    def __init__(self, layer: Any, dtype: torch.dtype) -> None:
        attention, mlp = layer.self_attn, layer.mlp
        kind = attention.config.model_type
        self.input_norm, self.mlp_norm = layer.input_layernorm, layer.post_attention_layernorm
        self.query_key_norms = (attention.q_norm, attention.k_norm) if kind in QUERY_NORM else None
        self.is_rotated = kind not in SOME_UNROTATED or bool(attention.use_rope)
        self.activation, self.scaling, self.head_width = mlp.act_fn, attention.scaling, attention.head_dim
        self.qkv = Linears([attention.q_proj, attention.k_proj, attention.v_proj], dtype)
        self.out = Linears([attention.o_proj], dtype)
        self.gate_up, self.down = Linears([mlp.gate_proj, mlp.up_proj], dtype), Linears([mlp.down_proj], dtype)

    @property
    def linears(self) -> list[Linears]:
        """All linear layers, in the order in which they act."""
        return [self.qkv, self.out, self.gate_up, self.down]

    def without_adapters(self) -> FastLayer:
        """This layer without its adapters; the copies of a training pass are shared."""
        plain = copy.copy(self)
        plain.qkv, plain.out, plain.gate_up, plain.down = (one.without_adapters() for one in self.linears)
        return plain

    def forward(
        self, hidden_BTH: Tensor, rotation: tuple[Tensor, Tensor], multiply: Multiply, attend: Attend
    ) -> Tensor:
        """The hidden states after this layer; `rotation` is the cosine and sine [B, T, D] of each position."""
        heads = [
            part.view(*part.shape[:-1], -1, self.head_width) for part in multiply(self.qkv, self.input_norm(hidden_BTH))
        ]
        if self.query_key_norms is not None:
            heads[:2] = (norm(part) for norm, part in zip(self.query_key_norms, heads[:2], strict=True))
        query, key, value = (part.transpose(1, 2) for part in heads)
        if self.is_rotated:
            query, key = (_rotated(part, *rotation) for part in (query, key))
        (out,) = multiply(self.out, attend(query, key, value, self.scaling))
        hidden_BTH = hidden_BTH + out
        gate, up = multiply(self.gate_up, self.mlp_norm(hidden_BTH))
        (out,) = multiply(self.down, self.activation(gate) * up)
        return hidden_BTH + out


def _rotated(states_BHTD: Tensor, cos_BTD: Tensor, sin_BTD: Tensor) -> Tensor:
    """Queries or keys, turned by the angles of their positions."""
    low, high = states_BHTD.chunk(2, dim=-1)
    swapped = torch.cat((-high, low), dim=-1)
    return (states_BHTD * cos_BTD.unsqueeze(1)) + (swapped * sin_BTD.unsqueeze(1))
