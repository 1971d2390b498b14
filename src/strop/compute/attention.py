"""Attention of a training pass.

torch's own kernel processes keys in small blocks, forward and backward, which saves memory for thousands of keys. For
a few hundred, in bfloat16, whole matrix multiplications are three times as fast. Neither keeps the scores for the
backward pass. Scores are rounded once, like every result of a multiplication in bfloat16.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import scaled_dot_product_attention

BLOCK_BYTES = 32 * 2**20
"""The size of the largest block of scores in float32. A single row with more than this is left to torch."""


def attention(query_BHWD: Tensor, key_BKSD: Tensor, value_BKSD: Tensor, mask: Tensor | None, scaling: float) -> Tensor:
    """Attention [B, H, W, D] to the keys where `mask` [B, 1, H/K * W, S] is true; without a mask it is causal.

    H/K query heads share a key head; the mask has their rows one after the other.
    """
    num, heads, width, size = query_BHWD.shape
    key_heads, length = key_BKSD.shape[1:3]
    scores = heads * width * length * 4
    as_matmuls = query_BHWD.dtype is torch.bfloat16 and query_BHWD.is_cpu and 0 < scores <= BLOCK_BYTES
    if mask is None and not as_matmuls:
        return scaled_dot_product_attention(
            query_BHWD, key_BKSD, value_BKSD, is_causal=True, scale=scaling, enable_gqa=heads != key_heads
        )
    repeats = heads // key_heads
    query = query_BHWD.reshape(num, key_heads, repeats * width, size)  # so that no key is repeated
    if not as_matmuls:
        out = scaled_dot_product_attention(query, key_BKSD, value_BKSD, attn_mask=mask, scale=scaling)
    else:
        rows = BLOCK_BYTES // scores
        if mask is None:
            mask = torch.ones(width, length, dtype=torch.bool).tril().repeat(repeats, 1).expand(num, 1, -1, -1)
        out = _Attention.apply(query, key_BKSD, value_BKSD, mask, scaling, rows)  # type: ignore[no-untyped-call]
    return out.reshape(query_BHWD.shape)


class _Attention(torch.autograd.Function):
    """Multiplications in bfloat16 and the softmax between them in float32, `rows` sequences at a time."""

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor, mask: Tensor, scaling: float, rows: int) -> Tensor:
        out = torch.empty_like(query)
        for at in _blocks(len(query), rows):
            out[at] = _weights(query[at], key[at], mask[at], scaling).to(value.dtype) @ value[at]
        ctx.scaling, ctx.rows = scaling, rows
        ctx.save_for_backward(query, key, value, mask, out)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        query, key, value, mask, out = ctx.saved_tensors
        grads = [torch.empty_like(one) for one in (query, key, value)]
        for at in _blocks(len(query), ctx.rows):
            weight = _weights(query[at], key[at], mask[at], ctx.scaling)
            grads[2][at] = weight.to(grad.dtype).mT @ grad[at]
            mean = (grad[at].float() * out[at]).sum(dim=-1, keepdim=True)  # of the gradient, under the weights
            score = (grad[at] @ value[at].mT).float().sub_(mean).mul_(weight).mul_(ctx.scaling).to(grad.dtype)
            grads[0][at] = score @ key[at]
            grads[1][at] = score.mT @ query[at]
        return *grads, None, None, None


def _blocks(num: int, rows: int) -> Iterator[slice]:
    return (slice(first, first + rows) for first in range(0, num, rows))


def _weights(query: Tensor, key: Tensor, mask: Tensor, scaling: float) -> Tensor:
    """softmax(scaling * query key), in float32 but for the multiplication."""
    return (query @ key.mT).float().mul_(scaling).masked_fill_(~mask, -torch.inf).softmax(dim=-1)
