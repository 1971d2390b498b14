"""The plain path: transformers' own forward pass, on any device and for any model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property, partial
from typing import Any

import torch
from torch import Tensor, nn

from strop.compute.kept import Kept
from strop.compute.linears import base_of, decoding_products, is_linear, training_products, weights_of
from strop.compute.padded import PaddedState
from strop.compute.precision import autocast
from strop.compute.products import Product, rounded
from strop.compute.replaced import KeptLinear, replaced
from strop.types import Tokens


class PlainRunner:
    """Padded rows, attention by SDPA, a key-value cache, and autocast for bfloat16.

    Decoding rounds a weight once and not for every token. With `has_products`, linear layers multiply as is fastest on
    a processor, each for itself. The output head is never rounded: in bfloat16 a logit of 20 would be off by 0.06.
    """

    def __init__(self, model: Any, dtype: torch.dtype, has_products: bool) -> None:
        self.model, self.dtype, self.has_products = model, dtype, has_products
        self._head_weight = base_of(model.get_output_embeddings()).weight

    def prefill(self, prompts: Sequence[Tokens]) -> tuple[Tensor, PaddedState]:
        """Left-padded prompts; only the last position's logits are computed."""
        _drop_copies(self._training)
        return PaddedState.prefill(self._decoding, prompts, self.dtype)

    def hidden_at(self, tokens_BT: Tensor, decision_BT: Tensor) -> Tensor:
        """Every row for itself, as it stands."""
        if torch.is_grad_enabled():
            _drop_copies(self._decoding)
        device, backbone = self.model.device, self._training.base_model
        with autocast(self.dtype, device.type):
            hidden_BTH: Tensor = backbone(input_ids=tokens_BT.to(device), use_cache=False).last_hidden_state
        return hidden_BTH[:, :-1][decision_BT[:, 1:]]  # the CPU's mask: to count a mask on the device, one waits for it

    def head(self) -> Callable[[Tensor], Tensor]:
        """The head's module; outside autocast it is not rounded."""
        head: Callable[[Tensor], Tensor] = self._training.get_output_embeddings()
        return head

    def without_adapter(self) -> PlainRunner:
        """The base model."""
        return PlainRunner(replaced(self.model, _base_under_adapter), self.dtype, self.has_products)

    @cached_property
    def _decoding(self) -> Any:
        if not self.has_products and self.dtype is torch.float32:
            return self.model
        return replaced(self.model, partial(self._kept, products=self._for_decoding))

    @cached_property
    def _training(self) -> Any:
        return (
            replaced(self.model, partial(self._kept, products=training_products)) if self.has_products else self.model
        )

    def _for_decoding(self, layers: Sequence[nn.Linear], dtype: torch.dtype, is_head: bool) -> list[Kept[Product]]:
        if self.has_products:
            return decoding_products(layers, dtype, is_head)
        (layer,) = layers
        return [Kept(weights_of([layer]), partial(rounded, layer, torch.float32 if is_head else dtype))]

    def _kept(self, module: nn.Module, products: Products) -> nn.Module | None:
        """The replacement of a linear layer, where there is a product for it."""
        if not isinstance(module, nn.Linear) or not is_linear(module):
            return None
        found = products([module], self.dtype, module.weight is self._head_weight)
        return KeptLinear(module, found[0]) if found else None


Products = Callable[[Sequence[nn.Linear], torch.dtype, bool], list[Kept[Product]]]
"""(layers, dtype, is_head) -> their products."""


def _drop_copies(model: nn.Module) -> None:
    for module in model.modules():
        if isinstance(module, KeptLinear):
            module.product.drop_if_trainable()


def _base_under_adapter(module: nn.Module) -> nn.Module | None:
    from peft.tuners.tuners_utils import BaseTunerLayer

    return module.get_base_layer() if isinstance(module, BaseTunerLayer) else None
