"""Layers with LoRA adapters, to decode with: the adapters cost two products more for all of a group, not two for each.

By itself every adapter of a token takes two small products and three additions: at 16 rows SmolLM2-135M decodes with
them at two thirds of its speed. Here all matrices A that read the same input stand below the layers' own weights, and
one product with all B follows. The weights are not merged: in bfloat16 a small change would be lost in a large weight.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from strop.compute.packed_linear import PackedProduct, Product, can_pack, is_large


def adapted(layers: Sequence[Any], dtype: torch.dtype, head: nn.Linear) -> list[Product]:
    """peft's linear layers side by side: large ones of float32, where products can be packed.

    An adapted head is left to peft, which multiplies it in parts.
    """
    base = [layer.get_base_layer() for layer in layers]
    fits = is_large(base) and base[0].weight.dtype is torch.float32 and base[0].weight is not head.weight
    return [AdaptedProduct(layers, dtype)] if fits and can_pack(dtype) else []


class AdaptedProduct(PackedProduct):
    """x to W x + B A x of each layer."""

    def __init__(self, layers: Sequence[Any], dtype: torch.dtype) -> None:
        super().__init__([layer.get_base_layer() for layer in layers], dtype)
        self.down = [layer.lora_A["default"].weight for layer in layers]
        self.up = [layer.lora_B["default"].weight for layer in layers]
        self.scales = [layer.scaling["default"] for layer in layers]
        self.sources += [*self.down, *self.up]

    def release(self) -> None:
        super().release()
        self.up_RO: Tensor | None = None

    def copied(self, weights: Sequence[Tensor]) -> Any:
        scaled = [up_OR.detach() * scale for up_OR, scale in zip(self.up, self.scales, strict=True)]
        joined_OR: Tensor = torch.block_diag(*scaled)  # type: ignore[no-untyped-call]
        self.up_RO = joined_OR.t().to(self.dtype).contiguous()
        return super().copied([*weights, *self.down])

    def copied_bias(self, biases: Sequence[Tensor]) -> Tensor:
        return pad(super().copied_bias(biases), (0, sum(map(len, self.down))))

    def multiply(self, rows_NI: Tensor) -> Tensor:
        both, width = super().multiply(rows_NI), sum(self.widths)
        assert self.up_RO is not None
        with torch.autocast("cpu", enabled=False):
            return torch.addmm(both[:, :width], both[:, width:], self.up_RO)
