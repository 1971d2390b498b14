"""Fused linear layers with LoRA adapters for decoding: two multiplications for a group of adapters, not two for each.

Computed one by one, each adapter takes two small multiplications and three additions for a token: at 16 rows
SmolLM2-135M decodes with them at two thirds of its speed. Here all matrices A of the same input are stacked below the
layers' weights, and one multiplication by all B follows. The weights are not merged: in bfloat16 a small change would
be lost in a large weight.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from strop.compute.packed_linear import FusedLinear, PackedLinear, can_pack, is_large


def fuse_lora(layers: Sequence[Any], dtype: torch.dtype, head: nn.Linear) -> list[FusedLinear]:
    """Fuse peft's LoRA layers if they are large, float32 and can be packed.

    An output head with an adapter is left to peft, which keeps base and adapter apart.
    """
    base = [layer.get_base_layer() for layer in layers]
    fits = is_large(base) and base[0].weight.dtype is torch.float32 and base[0].weight is not head.weight
    return [LoRALinear(layers, dtype)] if fits and can_pack(dtype) else []


class LoRALinear(PackedLinear):
    """Fused layers with their adapters: W x + B A x of each layer."""

    def __init__(self, layers: Sequence[Any], dtype: torch.dtype) -> None:
        super().__init__([layer.get_base_layer() for layer in layers], dtype)
        self.a = [layer.lora_A["default"].weight for layer in layers]
        self.b = [layer.lora_B["default"].weight for layer in layers]
        self.scales = [layer.scaling["default"] for layer in layers]
        self.sources += [*self.a, *self.b]

    def release(self) -> None:
        super().release()
        self.scaled_b_RO: Tensor | None = None

    def copy_weights(self, weights: Sequence[Tensor]) -> Any:
        scaled = [b_OR.detach() * scale for b_OR, scale in zip(self.b, self.scales, strict=True)]
        joined_OR: Tensor = torch.block_diag(*scaled)  # type: ignore[no-untyped-call]
        self.scaled_b_RO = joined_OR.t().to(self.dtype).contiguous()
        return super().copy_weights([*weights, *self.a])

    def copy_biases(self, biases: Sequence[Tensor]) -> Tensor:
        return pad(super().copy_biases(biases), (0, sum(map(len, self.a))))

    def multiply(self, rows_NI: Tensor) -> Tensor:
        both, width = super().multiply(rows_NI), sum(self.widths)
        assert self.scaled_b_RO is not None
        with torch.autocast("cpu", enabled=False):
            return torch.addmm(both[:, :width], both[:, width:], self.scaled_b_RO)
