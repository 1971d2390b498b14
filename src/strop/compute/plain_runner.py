"""The plain path: transformers' own forward pass, on any device and for any model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from strop.compute.kept import Kept
from strop.compute.kv_cache import sees_all
from strop.compute.linears import base_of, decoding_products, is_linear, training_products, weights_of
from strop.compute.padded import PaddedState
from strop.compute.parts import Parts
from strop.compute.precision import autocast
from strop.compute.products import Product, rounded
from strop.compute.replaced import KeptLinear, replaced
from strop.types import Tokens

MakeProducts: TypeAlias = Callable[[Sequence[nn.Linear], torch.dtype, bool], list[Kept[Product]]]
"""(layers, dtype, is_head) -> their products."""


@dataclass(frozen=True, slots=True)
class PlainRunner:
    """Padded rows, attention by SDPA, a key-value cache, and autocast for bfloat16.

    `decoding` and `training` are the model, perhaps with linear layers that multiply by copies of their weights: in
    decoding a weight is rounded once and not for every token. On a processor both multiply as is fastest there, each
    layer for itself. The output head is never rounded: in bfloat16 a logit of 20 would be off by 0.06.
    """

    dtype: torch.dtype
    decoding: Any
    training: Any

    @classmethod
    def of(cls, model: Any, dtype: torch.dtype, has_products: bool) -> PlainRunner:
        """A runner of this model, without copies yet; `has_products` takes the processor's products."""
        return cls(dtype, *views_of(model, dtype, has_products))

    def prefill(self, prompts: Sequence[Tokens]) -> tuple[Tensor, PaddedState]:
        """Left-padded prompts; only the last position's logits are computed."""
        drop_copies(self.training)
        return PaddedState.prefill(self.decoding, prompts, self.dtype)

    def join(self, states: Sequence[PaddedState | Parts]) -> PaddedState | Parts:
        """Rows of different lengths in one pass where every layer sees all tokens, else each state for itself."""
        padded = [state for state in states if isinstance(state, PaddedState) and sees_all(state.cache)]
        return PaddedState.join(padded) if len(padded) == len(states) else Parts.of(states)

    def hidden_at(self, tokens_BT: Tensor, decision_BT: Tensor) -> Tensor:
        """Every row for itself, as it stands."""
        if torch.is_grad_enabled():
            drop_copies(self.decoding)
        device, backbone = self.training.device, self.training.base_model
        with autocast(self.dtype, device.type):
            hidden_BTH: Tensor = backbone(input_ids=tokens_BT.to(device), use_cache=False).last_hidden_state
        return hidden_BTH[:, :-1][decision_BT[:, 1:]]  # the CPU's mask: to count a mask on the device, one waits for it

    def head(self) -> Callable[[Tensor], Tensor]:
        """The head's module; outside autocast it is not rounded."""
        head: Callable[[Tensor], Tensor] = self.training.get_output_embeddings()
        return head

    def without_adapter(self) -> PlainRunner:
        """The base model, which shares the copies of frozen weights."""
        decoding, training = (replaced(model, base_under_adapter) for model in (self.decoding, self.training))
        return replace(self, decoding=decoding, training=training)


def views_of(model: Any, dtype: torch.dtype, has_products: bool) -> tuple[Any, Any]:
    """The model for decoding and for training, with the products of its linear layers that are fastest there."""

    def with_kept(make: MakeProducts) -> Any:
        head_weight = base_of(model.get_output_embeddings()).weight
        return replaced(model, partial(_kept, make=make, dtype=dtype, head_weight=head_weight))

    if has_products:
        return with_kept(decoding_products), with_kept(training_products)
    return model if dtype is torch.float32 else with_kept(_rounded_once), model


def _rounded_once(layers: Sequence[nn.Linear], dtype: torch.dtype, is_head: bool) -> list[Kept[Product]]:
    return [Kept(weights_of([one]), partial(rounded, one, torch.float32 if is_head else dtype)) for one in layers]


def _kept(module: nn.Module, make: MakeProducts, dtype: torch.dtype, head_weight: Tensor) -> nn.Module | None:
    """The replacement of a linear layer, where there is a product for it."""
    if not isinstance(module, nn.Linear) or not is_linear(module):
        return None
    found = make([module], dtype, module.weight is head_weight)
    return KeptLinear(module, found[0]) if found else None


def drop_copies(model: nn.Module) -> None:
    """Free the copies of weights that training changes."""
    for module in model.modules():
        if isinstance(module, KeptLinear):
            module.product.drop_if_trainable()


def base_under_adapter(module: nn.Module) -> nn.Module | None:
    """The layer that peft put an adapter on."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    return module.get_base_layer() if isinstance(module, BaseTunerLayer) else None
