"""A layer of a model like Llama for one new token, in as few operations as possible."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from strop.compute.fast_layer import FastLayer


class RMSNorm:
    """Root mean square norm over the last H numbers: x w sqrt(H) / sqrt(|x|^2 + H eps), in four operations."""

    def __init__(self, norm: Any) -> None:
        size = len(norm.weight)
        self.weight_H = norm.weight.detach() * math.sqrt(size)
        self.least = torch.tensor(math.sqrt(size * norm.variance_epsilon))

    def __call__(self, x: Tensor) -> Tensor:
        length_1 = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
        return (x / torch.hypot(length_1, self.least)).mul_(self.weight_H)


class RotaryEmbedding:
    """Rotates queries and keys to their rows' positions. Queries are scaled too, as scores are; values pass unchanged.

    X = heads + 2 key heads: queries, then keys, then values.
    """

    def __init__(self, attention: Any, cos_B1D: Tensor, sin_B1D: Tensor) -> None:
        num, _, self.width = cos_B1D.shape
        self.num_heads = attention.config.num_attention_heads
        self.num_key_heads = self.num_heads // attention.num_key_value_groups
        half = self.width // 2
        signed_sin_B1D = torch.cat([-sin_B1D[..., :half], sin_B1D[..., half:]], dim=-1)
        scale_X1 = torch.ones(self.num_heads + self.num_key_heads, 1)
        scale_X1[: self.num_heads] = attention.scaling
        ones_BKD = torch.ones(num, self.num_key_heads, self.width)
        self.scale_X1 = torch.cat([scale_X1, ones_BKD[0, :, :1]])
        self.cos_BXD = torch.cat([cos_B1D * scale_X1, ones_BKD], dim=1)
        self.sin_BXD = torch.cat([signed_sin_B1D * scale_X1, torch.zeros_like(ones_BKD)], dim=1)

    def rotate(self, qkv_BXD: Tensor) -> Tensor:
        """Rotated and scaled."""
        halves_swapped_BXD = qkv_BXD.roll(self.width // 2, dims=-1)
        return (qkv_BXD * self.cos_BXD).addcmul_(halves_swapped_BXD, self.sin_BXD)

    def scale(self, qkv_BXD: Tensor) -> Tensor:
        """Only scaled: the queries of a layer that ignores positions."""
        return qkv_BXD * self.scale_X1


class DecoderLayer:
    """One layer without the attention itself.

    It multiplies by copies that were current when it was made. Small layers are the model's own, which stay as they are
    while somebody samples (`types.WeightsLock`).
    """

    def __init__(self, layer: FastLayer) -> None:
        self.input_norm, self.mlp_norm = RMSNorm(layer.input_norm), RMSNorm(layer.mlp_norm)
        self.query_key_norms = None if layer.query_key_norms is None else [*map(RMSNorm, layer.query_key_norms)]
        self.qkv, self.out, self.gate_up, self.down = (linears.decoder() for linears in layer.linears)
        self.activation, self.is_rotated = layer.activation, layer.is_rotated

    def query_and_kv(self, normed_BH: Tensor, rotary: RotaryEmbedding) -> tuple[Tensor, Tensor]:
        """The query [K, B, R, D], of which R heads share a key head, and the key and value [2, K, B, D]."""
        qkv_BO = self.qkv(normed_BH).float()
        num, heads, key_heads, width = len(qkv_BO), rotary.num_heads, rotary.num_key_heads, rotary.width
        qkv_BXD = qkv_BO.view(num, -1, width)
        if self.query_key_norms is not None:
            parts = torch.split(qkv_BXD, [heads, key_heads, key_heads], dim=1)
            normed = (norm(part) for norm, part in zip(self.query_key_norms, parts, strict=False))
            qkv_BXD = torch.cat([*normed, parts[2]], 1)
        rotated_BXD = rotary.rotate(qkv_BXD) if self.is_rotated else rotary.scale(qkv_BXD)
        query_BHD, kv_BYD = rotated_BXD[:, :heads], rotated_BXD[:, heads:]
        query_KBRD = query_BHD.reshape(num, key_heads, -1, width).transpose(0, 1).contiguous()
        return query_KBRD, kv_BYD.view(num, 2, key_heads, width).permute(1, 2, 0, 3)

    def mlp(self, normed_BH: Tensor) -> Tensor:
        """The feed-forward network: gate and up projection, the activation, down projection."""
        gate, up = self.gate_up(normed_BH).chunk(2, dim=-1)
        return self.down(self.activation(gate) * up)
