"""Products with copies of weights, for decoding.

For each token, decoding multiplies every weight by only a few rows. In oneDNN's own memory order that is 1.3 to 2 times
as fast as in torch's, and one large matrix multiplication is faster than several small ones, so layers that read the
same input are one product. In bfloat16, autocast rounds float32 weights again for every multiplication: once for
thousands of tokens in a training pass, but once for every token in decoding. Here each weight is rounded and reordered
only when it has changed.

Each function copies the weights of layers and returns their product: from rows [..., in] to the outputs of all of them
side by side.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, pad

from strop.compute.precision import has_bfloat16

Product: TypeAlias = Callable[[Tensor], Tensor]
FEWEST = 2**18
"""From so many weights on, a multiplication is worth oneDNN's 30 microseconds a call; below, torch's is as fast."""


def can_pack(dtype: torch.dtype) -> bool:
    """Whether this torch offers oneDNN's packed multiplication, and the processor computes it in `dtype`."""
    names = ("_reorder_linear_weight", "_linear_pointwise")
    if not all(hasattr(torch.ops.mkldnn, name) for name in names):
        return False
    return dtype is torch.float32 or (dtype is torch.bfloat16 and has_bfloat16())


def is_large(layers: Sequence[nn.Linear]) -> bool:
    """Whether the layers together are large enough for oneDNN to be faster than torch."""
    return sum(layer.weight.numel() for layer in layers) >= FEWEST


def rounded(layer: nn.Linear, dtype: torch.dtype) -> Product:
    """The product in another type, in torch's own memory order: what autocast computes, on any device."""
    weight_OI = layer.weight.detach().to(dtype)
    bias_O = None if layer.bias is None else layer.bias.detach().to(dtype)

    def multiply(rows_NI: Tensor) -> Tensor:
        with torch.autocast(rows_NI.device.type, enabled=False):
            return linear(rows_NI.to(dtype), weight_OI, bias_O)

    return partial(_flat, multiply)


def packed(layers: Sequence[nn.Linear], dtype: torch.dtype) -> Product:
    """The product with weights in oneDNN's order."""
    weight = _reordered([layer.weight for layer in layers], dtype)
    bias_O = _joined_bias(layers, dtype)

    return partial(_flat, lambda rows_NI: _pointwise(rows_NI.to(dtype), weight, bias_O))


def packed_with_lora(layers: Sequence[nn.Linear], adapters: Sequence[Any], dtype: torch.dtype) -> Product:
    """The product with weights in oneDNN's order, of layers with LoRA adapters: W x + B A x of each (None: W x).

    Computed one by one, each adapter takes two small multiplications and three additions for a token: at 16 rows
    SmolLM2-135M decodes with them at two thirds of its speed. Here all matrices A of the same input are stacked below
    the layers' weights, and one multiplication by all B follows. The weights are not merged: in bfloat16 a small change
    would be lost in a large weight.
    """
    a = [one.lora_A["default"].weight for one in adapters if one is not None]
    weight = _reordered([*(layer.weight for layer in layers), *a], dtype)
    bias_O = _joined_bias(layers, dtype)
    bias_O = None if bias_O is None else pad(bias_O, (0, sum(map(len, a))))
    width, b_RO = sum(layer.out_features for layer in layers), _scaled_b(layers, adapters).to(dtype).contiguous()

    def multiply(rows_NI: Tensor) -> Tensor:
        both = _pointwise(rows_NI.to(dtype), weight, bias_O)
        with torch.autocast("cpu", enabled=False):
            return torch.addmm(both[:, :width], both[:, width:], b_RO)

    return partial(_flat, multiply)


def stacked(tensors: Sequence[Tensor], dtype: torch.dtype) -> Tensor:
    """The tensors concatenated along the first dimension, in this type. A single tensor of this type is not copied."""
    if len(tensors) == 1:
        return tensors[0].detach().to(dtype)
    out = tensors[0].new_empty(sum(map(len, tensors)), *tensors[0].shape[1:], dtype=dtype)
    for part, tensor in zip(torch.split(out, [len(one) for one in tensors]), tensors, strict=True):
        part.copy_(tensor)  # in one pass, whatever the types
    return out


def _flat(multiply: Product, rows: Tensor) -> Tensor:
    """A product of rows [N, in] for [..., in]."""
    out_NO = multiply(rows.reshape(-1, rows.shape[-1]))
    return out_NO.view(*rows.shape[:-1], out_NO.shape[-1])  # there may be no rows: the size is named


def _reordered(weights: Sequence[Tensor], dtype: torch.dtype) -> Any:
    return torch.ops.mkldnn._reorder_linear_weight(stacked(weights, dtype))


def _pointwise(rows_NI: Tensor, weight: Any, bias_O: Tensor | None) -> Tensor:
    out_NO: Tensor = torch.ops.mkldnn._linear_pointwise(rows_NI, weight, bias_O, "none", [], "")
    return out_NO


def _joined_bias(layers: Sequence[nn.Linear], dtype: torch.dtype) -> Tensor | None:
    """A copy, of a single layer too: a product does not follow later changes."""
    return None if layers[0].bias is None else torch.cat([layer.bias.detach() for layer in layers]).to(dtype)


def _scaled_b(layers: Sequence[nn.Linear], adapters: Sequence[Any]) -> Tensor:
    """All matrices B times their scales [ranks, outputs], each in the place of its layer."""
    scaled = [
        layer.weight.new_zeros(layer.out_features, 0)
        if one is None
        else one.lora_B["default"].weight.detach() * one.scaling["default"]
        for layer, one in zip(layers, adapters, strict=True)
    ]
    joined_OR: Tensor = torch.block_diag(*scaled)  # type: ignore[no-untyped-call]
    return joined_OR.t()
