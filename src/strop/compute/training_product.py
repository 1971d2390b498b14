"""Products of a training pass, forward and backward.

oneDNN multiplies float32 up to twice as fast as torch's default library (MKL), which does not use all instructions of
other makers' processors. In bfloat16, autocast would round the input of each layer separately; layers that read the
same input are one product, so that it is rounded and stored once, and its gradient is one tensor.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.functional import linear

from strop.compute.products import Product, can_pack, stacked


def trainable(layers: Sequence[nn.Linear], dtype: torch.dtype, backward_dtype: torch.dtype) -> Product:
    """The product of layers in `dtype`, side by side, by a copy of their weights. The gradient goes to the layers' own
    weights; it is computed in `backward_dtype`."""
    weights = [layer.weight for layer in layers]
    biases = [layer.bias for layer in layers if layer.bias is not None]
    backward_OI = stacked(weights, backward_dtype)
    weight_OI = backward_OI if dtype is backward_dtype else stacked(weights, dtype)
    bias_O = stacked(biases, dtype) if biases else None
    widths = [layer.out_features for layer in layers]

    def product(rows: Tensor) -> Tensor:
        out_NO: Tensor = _Multiply.apply(  # type: ignore[no-untyped-call]
            rows.reshape(-1, rows.shape[-1]), weight_OI, bias_O, backward_OI, widths, *chain(weights, biases)
        )
        return out_NO.view(*rows.shape[:-1], out_NO.shape[-1])  # there may be no rows: the size is named

    return product


class _Multiply(torch.autograd.Function):
    """`originals` are the layers' weights, then their biases: the sources of the copies, which get the gradient."""

    @staticmethod
    def forward(
        ctx: Any,
        rows_NI: Tensor,
        weight_OI: Tensor,
        bias_O: Tensor | None,
        backward_OI: Tensor,
        widths: list[int],
        *originals: Tensor,
    ) -> Tensor:
        ctx.widths, ctx.types = widths, [rows_NI.dtype, *(tensor.dtype for tensor in originals)]
        rows_NI, is_frozen = rows_NI.to(weight_OI.dtype), not any(ctx.needs_input_grad[5:])
        ctx.save_for_backward(None if is_frozen else rows_NI.to(backward_OI.dtype), backward_OI)
        return multiply(rows_NI, weight_OI, bias_O)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_NO: Tensor) -> tuple[Tensor | None, ...]:
        rows_NI, weight_OI = ctx.saved_tensors
        grad_NO = grad_NO.to(weight_OI.dtype)
        wanted = [ctx.needs_input_grad[0], *ctx.needs_input_grad[5:]]
        parts = torch.split(grad_NO, ctx.widths, dim=1)
        weights, biases = wanted[1 : 1 + len(parts)], wanted[1 + len(parts) :]
        grads = [multiply(grad_NO, weight_OI.t()) if wanted[0] else None]
        grads += [
            _weight_gradient(part, rows_NI) if wants else None for part, wants in zip(parts, weights, strict=True)
        ]
        grads += [part.sum(dim=0) if wants else None for part, wants in zip(parts, biases, strict=False)]
        rows, *own = (None if grad is None else grad.to(dtype) for grad, dtype in zip(grads, ctx.types, strict=True))
        return rows, None, None, None, None, *own


def multiply(rows_NI: Tensor, weight_OI: Tensor, bias_O: Tensor | None = None) -> Tensor:
    """Rows times the transposed weight, both of one type and in any order in memory."""
    if rows_NI.dtype is torch.float32 and rows_NI.numel() and can_pack(torch.float32):
        out_NO: Tensor = torch.ops.mkldnn._linear_pointwise(rows_NI, weight_OI, bias_O, "none", [], "")
        return out_NO
    with torch.autocast("cpu", enabled=False):
        return linear(rows_NI, weight_OI, bias_O)


def _weight_gradient(grad_NO: Tensor, rows_NI: Tensor) -> Tensor:
    """The gradient [O, I] of one layer's weight. Torch's product reads both as they lie; oneDNN would first copy them
    into the other order, which for wide layers takes as long as the multiplication."""
    with torch.autocast("cpu", enabled=False):
        return grad_NO.t() @ rows_NI
