"""A model that shares its tensors with another one, but multiplies by copies of its linear weights.

Functions that fuse layers choose the copies; those for decoding are here. The output head is never rounded: in bfloat16
a logit of 20 would be off by up to 0.06.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any, NamedTuple

import torch
from torch import nn

from strop.compute.packed_linear import FusedLinear, FusedPart, PackedLinear, can_pack, is_large

SAME_INPUT = {"q_proj": "qkv", "k_proj": "qkv", "v_proj": "qkv", "gate_proj": "mlp", "up_proj": "mlp"}
"""Layers that read the same input in most models. Where they do not, they are multiplied more often than needed."""
Fuse = Callable[[Sequence[Any]], "list[FusedLinear]"]
"""From layers that may be fused to their replacements; to an empty list if they stay as they are."""


class Location(NamedTuple):
    """The place of a layer in a model: its parent module, and its name there."""

    parent: nn.Module
    name: str

    @property
    def layer(self) -> nn.Module:
        return self.parent.get_submodule(self.name)

    def replace(self, layer: nn.Module) -> None:
        """Put another layer in its place."""
        self.parent.register_module(self.name, layer)


class FusedModel:
    """`model` is a copy of `source` with the same tensors, `linears` are the fused layers in it.

    `fuse_lora` is called first, for layers with a LoRA adapter; then `fuse` for all other linear layers, and for the
    base layers of adapters that `fuse_lora` does not replace.
    """

    def __init__(self, source: Any, fuse: Fuse, fuse_lora: Fuse | None = None) -> None:
        shared = {id(tensor): tensor for tensor in chain(source.parameters(), source.buffers())}
        self.model, self.linears = copy.deepcopy(source, shared), list[FusedLinear]()
        if fuse_lora is not None:
            self._replace(lora_groups(self.model), fuse_lora)
        self._replace(linear_groups(self.model), fuse)

    def _replace(self, groups: Sequence[Sequence[Location]], fuse: Fuse) -> None:
        for locations in groups:
            free = iter(locations)
            for fused in fuse([location.layer for location in locations]):
                self.linears.append(fused)
                for index in range(len(fused.widths)):
                    next(free).replace(FusedPart(fused, index))

    def refresh(self) -> None:
        """Copy the weights that have changed."""
        for fused in self.linears:
            fused.refresh()

    def release(self) -> None:
        """Free the copies of trainable weights."""
        for fused in self.linears:
            if fused.is_trainable:
                fused.release()


def fuse_exactly(layers: Sequence[nn.Linear]) -> list[FusedLinear]:
    """Pack large layers in their own type, if that is possible; small ones stay as they are."""
    dtype = layers[0].weight.dtype
    return [PackedLinear(layers, dtype)] if is_large(layers) and can_pack(dtype) else []


def fuse_in_bfloat16(layers: Sequence[nn.Linear], head: nn.Linear) -> list[FusedLinear]:
    """Copies in bfloat16, of the output head in float32; large layers are packed, if that is possible."""
    dtype = torch.float32 if layers[0].weight is head.weight else torch.bfloat16
    if is_large(layers) and can_pack(dtype):
        return [PackedLinear(layers, dtype)]
    return [FusedLinear([layer], dtype) for layer in layers]


def linear_groups(model: nn.Module) -> list[list[Location]]:
    """The locations of linear layers, grouped by their input."""
    return _groups(model, lambda module: module)


def lora_groups(model: nn.Module) -> list[list[Location]]:
    """The locations of linear layers with a LoRA adapter, grouped by their input."""
    from peft.tuners.lora import LoraLayer

    return _groups(model, lambda module: module.get_base_layer() if isinstance(module, LoraLayer) else None)


def _groups(model: nn.Module, linear_of: Callable[[nn.Module], nn.Module | None]) -> list[list[Location]]:
    """The modules for which `linear_of` gives a linear layer, grouped by input and type. Other kinds of layers
    (quantised ones) are left out."""
    groups: dict[object, list[Location]] = {}
    for path, parent in list(model.named_modules()):
        for name, module in parent.named_children():
            layer = linear_of(module)
            if isinstance(layer, nn.Linear) and type(layer).forward is nn.Linear.forward:
                around, _, last = f"{path}.{name}".removesuffix(".base_layer").rpartition(".")  # an adapter's base
                kind = (layer.in_features, layer.weight.dtype, layer.bias is None)
                groups.setdefault((around, SAME_INPUT.get(last, last), *kind), []).append(Location(parent, name))
    return list(groups.values())
