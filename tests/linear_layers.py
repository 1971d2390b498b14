"""Small linear layers that read the same input, with and without adapters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn


def layers(bias: bool, *widths: int) -> list[nn.Linear]:
    """Random ones that read 7 numbers."""
    torch.manual_seed(0)
    return [nn.Linear(7, width, bias=bias) for width in widths]


def adapted(own: Sequence[nn.Linear], which: Sequence[bool]) -> list[Any]:
    """peft's LoRA layers, of different ranks and scales, around those that are asked for; the others as they are."""
    from peft.tuners.lora import Linear, LoraConfig

    found: list[Any] = []
    for rank, (layer, is_adapted) in enumerate(zip(own, which, strict=True), start=1):
        found.append(layer)
        if is_adapted:
            config = LoraConfig(r=rank, lora_alpha=3)
            found[-1] = Linear(layer.requires_grad_(False), "default", config=config, r=rank, lora_alpha=3)
            nn.init.normal_(found[-1].lora_B["default"].weight)
    return found


def exactly(many: Sequence[Any], rows: Tensor) -> Tensor:
    """The layers' outputs side by side, in float64. The layers are float64 afterwards."""
    return torch.cat([layer.double()(rows.double()) for layer in many], dim=-1).detach()
