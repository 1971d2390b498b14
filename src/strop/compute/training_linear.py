"""The products of matrices that the learner goes through, forward and backward.

oneDNN multiplies float32 up to twice as fast as torch's own library (MKL), which does not use all that processors of
other makers can. In bfloat16, where autocast rounds each layer's weights and inputs for itself, layers that read the
same input are joined: it is rounded and kept once, and its gradient comes in one piece.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.functional import linear

from strop.compute.packed_linear import Product, can_pack, is_large, one_below_another

WIDEST = 4096
"""Outputs whose weights' gradient is one product: oneDNN slows down where it has to write more of them in float32."""


def learnt(layers: Sequence[nn.Linear], dtype: torch.dtype, head: nn.Linear) -> list[Product]:
    """What takes the place of layers in a training pass: nothing where torch's own products are as good.

    In bfloat16 the head's logits are float32, and only its gradient is rounded.
    """
    if dtype is torch.bfloat16 and layers[0].weight is head.weight:
        return [LearntProduct(layers, torch.float32, dtype)]
    if not is_large(layers) or layers[0].weight.dtype is not torch.float32 or not can_pack(dtype):
        return []
    if dtype is torch.bfloat16:
        return [LearntProduct(layers, dtype, dtype)]
    return [LearntProduct([layer], dtype, dtype) for layer in layers]  # to join them would copy them


class LearntProduct(Product):
    """Linear layers side by side, to whose own weights the gradient goes; `backward` is the type that it has."""

    def __init__(self, layers: Sequence[nn.Linear], dtype: torch.dtype, backward: torch.dtype) -> None:
        self.backward = backward
        super().__init__(layers, dtype)

    def release(self) -> None:
        super().release()
        self.rounded: Tensor | None = None

    def copied(self, weights: Sequence[Tensor]) -> Tensor:
        self.rounded = one_below_another(weights, self.backward)
        return self.rounded if self.dtype is self.backward else one_below_another(weights, self.dtype)

    def multiply(self, rows_NI: Tensor) -> Tensor:
        weights, biases = zip(*self.own, strict=True)
        given = [*weights, *(bias for bias in biases if bias is not None)]
        copies = self.weight, self.bias, self.rounded
        out_NO: Tensor = _Multiply.apply(rows_NI, *copies, self.widths, *given)  # type: ignore[no-untyped-call]
        return out_NO


class _Multiply(torch.autograd.Function):
    """`own` are the layers' weights, then their biases: what the copies were made of, and where the gradient goes."""

    @staticmethod
    def forward(
        ctx: Any,
        rows_NI: Tensor,
        weight_OI: Tensor,
        bias_O: Tensor | None,
        rounded_OI: Tensor,
        widths: list[int],
        *own: Tensor,
    ) -> Tensor:
        ctx.widths, ctx.types = widths, [rows_NI.dtype, *(tensor.dtype for tensor in own)]
        rows_NI, is_frozen = rows_NI.to(weight_OI.dtype), not any(ctx.needs_input_grad[5:])
        ctx.save_for_backward(None if is_frozen else rows_NI.to(rounded_OI.dtype), rounded_OI)
        return times(rows_NI, weight_OI, bias_O)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_NO: Tensor) -> tuple[Tensor | None, ...]:
        rows_NI, weight_OI = ctx.saved_tensors
        grad_NO = grad_NO.to(weight_OI.dtype)
        wanted = [ctx.needs_input_grad[0], *ctx.needs_input_grad[5:]]
        parts = torch.split(grad_NO, ctx.widths, dim=1)
        weights, biases = wanted[1 : 1 + len(parts)], wanted[1 + len(parts) :]
        grads = [times(grad_NO, weight_OI.t()) if wanted[0] else None]
        grads += [_of_weight(part, rows_NI) if wants else None for part, wants in zip(parts, weights, strict=True)]
        grads += [part.sum(dim=0) if wants else None for part, wants in zip(parts, biases, strict=False)]
        rows, *own = (None if grad is None else grad.to(dtype) for grad, dtype in zip(grads, ctx.types, strict=True))
        return rows, None, None, None, None, *own


def times(rows_NI: Tensor, weight_OI: Tensor, bias_O: Tensor | None = None) -> Tensor:
    """Rows times the transposed weight, both of one type and in any order in memory."""
    if rows_NI.dtype is torch.float32 and rows_NI.numel() and can_pack(torch.float32):
        out_NO: Tensor = torch.ops.mkldnn._linear_pointwise(rows_NI, weight_OI, bias_O, "none", [], "")
        return out_NO
    with torch.autocast("cpu", enabled=False):
        return linear(rows_NI, weight_OI, bias_O)


def _of_weight(grad_NO: Tensor, rows_NI: Tensor) -> Tensor:
    """The gradient [O, I] of one layer's weight."""
    if grad_NO.dtype is torch.float32 and grad_NO.shape[1] > WIDEST:
        return torch.cat([times(part.t(), rows_NI.t()) for part in torch.split(grad_NO, WIDEST, dim=1)])
    return times(grad_NO.t(), rows_NI.t())
