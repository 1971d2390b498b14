"""The copy of a model that decoding reads: its linear layers hold their weights once more, made for few rows.

Decoding multiplies every weight by a handful of rows a token. In oneDNN's own order of the weights such products are
1.3 to 2 times as fast as in torch's, which has to fetch them across. And in bfloat16, autocast rounds float32 weights
anew for every product: one rounding for thousands of tokens in a training pass, but one for every token in decoding. So
each weight is rounded and put in order once for each change of it.
"""

from __future__ import annotations

import copy
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from strop.policies.precision import has_bfloat16

FEWEST = 2**18
"""Weights of a matrix that is worth oneDNN's 30 microseconds a call; below, torch's own product is as fast."""


def can_pack(dtype: torch.dtype) -> bool:
    """Whether this torch hands out oneDNN's packed products, and the processor computes them in `dtype`."""
    names = ("_reorder_linear_weight", "_linear_pointwise")
    if not all(hasattr(torch.ops.mkldnn, name) for name in names):
        return False
    return dtype is torch.float32 or (dtype is torch.bfloat16 and has_bfloat16())


class PackedLinear(nn.Module):
    """A linear layer to decode with: `own`'s weights in `dtype`, in oneDNN's order where `packs`."""

    def __init__(self, own: nn.Linear, dtype: torch.dtype, packs: bool) -> None:
        super().__init__()
        self.own = (own.weight, own.bias)  # in a tuple: they stay the source's parameters alone
        self.dtype, self.packs = dtype, packs
        self.release()

    def release(self) -> None:
        """Free the copy; `refresh` makes it anew."""
        self.weight: Tensor | None = None
        self.bias: Tensor | None = None
        self.versions: list[int] = []

    def refresh(self) -> None:
        """Copy the weights again if they have changed in place since the last time."""
        versions = [one._version for one in self.own if one is not None]
        if versions == self.versions:
            return
        self.release()
        weight, self.bias = (None if one is None else one.detach().to(self.dtype) for one in self.own)
        self.weight = torch.ops.mkldnn._reorder_linear_weight(weight) if self.packs else weight
        self.versions = versions

    def forward(self, input: Tensor) -> Tensor:
        """[..., in] to [..., out], in `dtype`."""
        assert self.weight is not None, "refresh() comes first"
        rows = input.to(self.dtype)
        if not self.packs:
            return linear(rows, self.weight, self.bias)
        flat = rows.reshape(-1, rows.shape[-1])
        out: Tensor = torch.ops.mkldnn._linear_pointwise(flat, self.weight, self.bias, "none", [], "")
        return out.view(*rows.shape[:-1], -1)


class Packed:
    """A model that shares every tensor with `source`, but multiplies by copies of its linear weights.

    `rounds` computes them in bfloat16, else each is in its own type. Large matrices are packed where that can be done;
    small ones are only rounded, or stay as they are.
    """

    def __init__(self, source: Any, rounds: bool) -> None:
        shared = {id(tensor): tensor for tensor in chain(source.parameters(), source.buffers())}
        self.model = copy.deepcopy(source, shared)
        self.layers: list[PackedLinear] = []
        for parent in list(self.model.modules()):
            for name, layer in list(parent.named_children()):
                if isinstance(layer, nn.Linear):
                    dtype = torch.bfloat16 if rounds else layer.weight.dtype
                    packs = layer.weight.numel() >= FEWEST and layer.weight.is_cpu and can_pack(dtype)
                    if packs or rounds:
                        self.layers.append(PackedLinear(layer, dtype, packs))
                        setattr(parent, name, self.layers[-1])

    def refresh(self) -> None:
        """Copy again what has changed: under an adapter, only the adapter."""
        for layer in self.layers:
            layer.refresh()

    def release(self) -> None:
        """Free the copies of what trains."""
        for layer in self.layers:
            if layer.own[0].requires_grad:
                layer.release()
