"""A model that shares its tensors with another one, with some of its modules replaced."""

from __future__ import annotations

import copy
from collections.abc import Callable
from itertools import chain
from typing import Any

from torch import Tensor, nn

from strop.compute.kept import Kept
from strop.compute.products import Product


def replaced(source: Any, replacement: Callable[[nn.Module], nn.Module | None]) -> Any:
    """A copy of `source` with the same parameters, buffers and kept copies. `replacement` gives the module to put in a
    module's place; None keeps it, and goes on to the modules in it."""
    shared: dict[int, Any] = {id(tensor): tensor for tensor in chain(source.parameters(), source.buffers())}
    for module in source.modules():
        if isinstance(module, KeptLinear):
            shared |= {id(module.product): module.product, id(module.weight): module.weight}
    model = copy.deepcopy(source, shared)
    _replace_in(model, replacement)
    return model


def _replace_in(parent: nn.Module, replacement: Callable[[nn.Module], nn.Module | None]) -> None:
    for name, child in list(parent.named_children()):
        new = replacement(child)
        if new is None:
            _replace_in(child, replacement)
        else:
            parent.register_module(name, new)


class KeptLinear(nn.Module):
    """A linear layer that multiplies by a copy of its weights."""

    def __init__(self, layer: nn.Linear, product: Kept[Product]) -> None:
        super().__init__()
        self.product, self._weights = product, [layer.weight]  # in a list: no parameter of this module

    @property
    def weight(self) -> Tensor:
        """The layer's own weight: adapters read its type."""
        return self._weights[0]

    def forward(self, input: Tensor) -> Tensor:
        """[..., in] to [..., out], in the product's type."""
        return self.product.get()(input)
