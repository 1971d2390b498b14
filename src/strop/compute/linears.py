"""Linear layers of a model that read the same input, and the products that are kept for them on a processor."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from strop.compute.kept import Kept
from strop.compute.precision import autocast
from strop.compute.products import Product, can_pack, is_large, packed, packed_with_lora, rounded
from strop.compute.training_product import trainable

Layer: TypeAlias = Any
"""nn.Linear, or peft's LoRA layer around one."""


class Linears:
    """Layers that read the same input, multiplied as one where that is faster.

    The output head (`is_head`) is never rounded: in bfloat16 a logit of 20 would be off by 0.06. Only its gradient is.
    """

    def __init__(self, layers: Sequence[Layer], dtype: torch.dtype, is_head: bool = False) -> None:
        self.dtype, self.is_head = dtype, is_head
        self.base = [base_of(layer) for layer in layers]
        self.adapters = [None if isinstance(layer, nn.Linear) else layer for layer in layers]
        self.widths = [layer.out_features for layer in self.base]
        self._training = training_products(self.base, dtype, is_head)
        self._decoding, self._covers_adapters = self._decoding_products()

    def train(self, input: Tensor) -> list[Tensor]:
        """Each layer's output for [..., in], differentiable."""
        return self._adapted(_outputs(self._current(self._training), self.widths, input), input)

    def decode(self, input: Tensor) -> list[Tensor]:
        """Each layer's output for [..., in], multiplied as decoding does."""
        outputs = _outputs(self._current(self._decoding), self.widths, input)
        return list(outputs) if self._covers_adapters else self._adapted(outputs, input)

    def decoder(self) -> Product:
        """The product with the weights as they are: from [..., in] to all outputs, side by side."""
        products = self._current(self._decoding)
        if len(products) == 1 and (self._covers_adapters or not any(self.adapters)):
            return products[0]

        def product(input: Tensor) -> Tensor:
            with autocast(self.dtype, "cpu"):
                return torch.cat(self._adapted(_outputs(products, self.widths, input), input), dim=-1)

        return product

    def drop_training(self) -> None:
        """Free the training pass's copies of trainable weights, unless somebody uses them."""
        for kept in self._training:
            kept.drop_if_trainable()

    def drop_decoding(self) -> None:
        """Free decoding's copies of trainable weights, unless somebody uses them."""
        for kept in self._decoding:
            kept.drop_if_trainable()

    def without_adapters(self) -> Linears:
        """The base layers. In training they share their copies with these ones."""
        plain = Linears(self.base, self.dtype, self.is_head)
        plain._training = self._training
        return plain

    def _current(self, products: Sequence[Kept[Product]]) -> Sequence[Product]:
        return [kept.get() for kept in products] or self.base

    def _adapted(self, outputs: Iterator[Tensor], input: Tensor) -> list[Tensor]:
        return [_adapted(output, one, input) for output, one in zip(outputs, self.adapters, strict=True)]

    def _decoding_products(self) -> tuple[list[Kept[Product]], bool]:
        """Products that together give all outputs (none: the layers themselves do), and whether adapters are in it."""
        fits = is_large(self.base) and not self.is_head and self.base[0].weight.dtype is torch.float32
        if any(self.adapters) and fits and can_pack(self.dtype):
            adapted = [weight for one in self.adapters if one is not None for weight in _lora_weights(one)]
            make = partial(packed_with_lora, self.base, self.adapters, self.dtype)
            return [Kept([*weights_of(self.base), *adapted], make)], True
        return decoding_products(self.base, self.dtype, self.is_head), False


def training_products(base: Sequence[nn.Linear], dtype: torch.dtype, is_head: bool) -> list[Kept[Product]]:
    """One product for all layers, or one for each; none where torch's own multiplication is as fast."""

    def kept(layers: Sequence[nn.Linear], forward_dtype: torch.dtype) -> Kept[Product]:
        return Kept(weights_of(layers), partial(trainable, layers, forward_dtype, dtype))

    if is_head and dtype is torch.bfloat16:
        return [kept(base, torch.float32)]
    if not is_large(base) or base[0].weight.dtype is not torch.float32 or not can_pack(dtype):
        return []
    if dtype is torch.bfloat16:
        return [kept(base, dtype)]
    return [kept([layer], dtype) for layer in base]  # one for all would copy the weights


def decoding_products(base: Sequence[nn.Linear], dtype: torch.dtype, is_head: bool) -> list[Kept[Product]]:
    """One product for all layers, or one for each; none where the layers themselves are as fast."""
    own = base[0].weight.dtype
    target = own if is_head or dtype is not torch.bfloat16 else dtype
    if is_large(base) and can_pack(target):
        return [Kept(weights_of(base), partial(packed, base, target))]
    if dtype is torch.bfloat16:
        return [Kept(weights_of([layer]), partial(rounded, layer, target)) for layer in base]
    return []


def base_of(layer: Layer) -> nn.Linear:
    """The layer under an adapter, or the layer itself."""
    base: nn.Linear = layer if isinstance(layer, nn.Linear) else layer.get_base_layer()
    return base


def is_linear(module: nn.Module) -> bool:
    """Whether it is torch's linear layer itself; quantised ones compute something else."""
    return isinstance(module, nn.Linear) and type(module).forward is nn.Linear.forward


def weights_of(layers: Sequence[nn.Linear]) -> list[Tensor]:
    """Weights and biases."""
    return [*(layer.weight for layer in layers), *(layer.bias for layer in layers if layer.bias is not None)]


def _lora_weights(adapter: Layer) -> list[Tensor]:
    return [adapter.lora_A["default"].weight, adapter.lora_B["default"].weight]


def _outputs(each: Sequence[Product], widths: Sequence[int], input: Tensor) -> Iterator[Tensor]:
    """Each layer's output, from products that together give all of them."""
    if len(each) == 1 and len(widths) > 1:
        # not views to autograd: in-place changes of a part are allowed
        yield from torch.unsafe_split_with_sizes(each[0](input), list(widths), dim=-1)
        return
    yield from (product(input) for product in each)


def _adapted(output: Tensor, adapter: Layer | None, input: Tensor) -> Tensor:
    """W x + B A x, rounded as peft rounds it."""
    if adapter is None:
        return output
    a, b = adapter.lora_A["default"], adapter.lora_B["default"]
    adapted: Tensor = output + b(a(input.to(a.weight.dtype))) * adapter.scaling["default"]
    return adapted.to(output.dtype)
