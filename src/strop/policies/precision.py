"""bfloat16 on the processor: whether it multiplies it itself, and the copy of a model that decoding reads.

Autocast rounds float32 weights anew for every product. In a training pass that is one rounding for thousands of tokens;
in decoding it is one for every token, and costs three times the memory traffic of the product itself. So the linear
layers get their weights rounded once for each change of the weights. The bits are those of autocast.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from itertools import chain
from typing import Any

import torch
from torch import nn
from torch.nn import Parameter

HARDWARE = ("amx_bf16", "avx512_bf16")
"""What makes bfloat16 several times as fast as float32. Elsewhere it is computed in float32 and rounded: slower."""


def has_bfloat16() -> bool:
    """Whether this processor has instructions for products of bfloat16. A torch that cannot tell counts as no."""
    tell: Callable[[], Mapping[str, Any]] = getattr(torch.cpu, "get_capabilities", dict)
    found = tell()
    return any(found.get(name) for name in HARDWARE)


class Rounded:
    """A model that shares every tensor with `source`, except that its linear layers multiply by bfloat16 weights."""

    def __init__(self, source: Any) -> None:
        shared = {id(tensor): tensor for tensor in chain(source.parameters(), source.buffers())}
        self.model = copy.deepcopy(source, shared)
        self._pairs: list[tuple[Parameter, Parameter]] = []
        self._versions: list[int] = []
        for module in self.model.modules():
            if isinstance(module, nn.Linear):
                for name, own in list(module.named_parameters(recurse=False)):
                    rounded = Parameter(own.detach().to(torch.bfloat16), requires_grad=False)
                    setattr(module, name, rounded)
                    self._pairs.append((rounded, own))
                    self._versions.append(own._version)

    @torch.no_grad()
    def refresh(self) -> None:
        """Round again what has changed in place since the last time: under an adapter, only the adapter."""
        for i, (rounded, own) in enumerate(self._pairs):
            if own._version != self._versions[i]:
                rounded.copy_(own)
                self._versions[i] = own._version
