"""The copy of a model that decoding reads: its linear layers hold their weights once more, made for few rows.

Decoding multiplies every weight by a handful of rows a token. In oneDNN's own order of the weights such products are
1.3 to 2 times as fast as in torch's, which has to fetch them across, and one large product is faster than several small
ones: layers that read the same input are joined. And in bfloat16, autocast rounds float32 weights anew for every
product: one rounding for thousands of tokens in a training pass, but one for every token in decoding. So each weight is
rounded and put in order once for each change of it.

The output head is never rounded: in bfloat16 a logit of 20 would lie up to 0.06 beside its value.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from strop.compute.precision import has_bfloat16

FEWEST = 2**18
"""Weights of a product that is worth oneDNN's 30 microseconds a call; below, torch's own is as fast."""
JOINED = {"q_proj": "qkv", "k_proj": "qkv", "v_proj": "qkv", "gate_proj": "mlp", "up_proj": "mlp"}
"""Layers that read the same input in most models. Where they do not, they are multiplied more often than needed."""
Place = tuple[nn.Module, str]
"""Where a layer stands: the module around it, and its name there."""
Make = Callable[[Sequence[Any]], "list[Product]"]


def can_pack(dtype: torch.dtype) -> bool:
    """Whether this torch hands out oneDNN's packed products, and the processor computes them in `dtype`."""
    names = ("_reorder_linear_weight", "_linear_pointwise")
    if not all(hasattr(torch.ops.mkldnn, name) for name in names):
        return False
    return dtype is torch.float32 or (dtype is torch.bfloat16 and has_bfloat16())


class Product:
    """Linear layers side by side, with a copy of their weights in `dtype`."""

    def __init__(self, layers: Sequence[nn.Linear], dtype: torch.dtype) -> None:
        self.own = [(layer.weight, layer.bias) for layer in layers]  # they stay the source's parameters alone
        self.sources: list[Tensor] = [one for one in chain.from_iterable(self.own) if one is not None]
        self.widths = [layer.out_features for layer in layers]
        self.dtype = dtype
        self.release()

    @property
    def trains(self) -> bool:
        """Whether what is copied changes from step to step."""
        return any(source.requires_grad for source in self.sources)

    def release(self) -> None:
        """Free the copy; `refresh` makes it anew."""
        self.weight: Any = None
        self.bias: Tensor | None = None
        self.versions: list[int] = []
        self._input: Tensor | None = None
        self._outputs: Sequence[Tensor | None] = ()

    def refresh(self) -> None:
        """Copy the weights again if they have changed in place since the last time."""
        versions = [source._version for source in self.sources]
        if versions == self.versions:
            return
        self.release()
        weights, biases = zip(*self.own, strict=True)
        with torch.inference_mode(False), torch.no_grad():  # whoever asks first, others may learn through it
            self.weight = self.copied(weights)
            self.bias = None if biases[0] is None else self.copied_bias(biases)
        self.versions = versions

    def copied(self, weights: Sequence[Tensor]) -> Any:
        """The layers' weights as `multiply` wants them."""
        return one_below_another(weights, self.dtype)

    def copied_bias(self, biases: Sequence[Tensor]) -> Tensor:
        """The layers' biases as `multiply` wants them."""
        return one_below_another(biases, self.dtype)

    def multiply(self, rows_NI: Tensor) -> Tensor:
        """[N, in] to [N, all layers' out], in `dtype`."""
        with torch.autocast("cpu", enabled=False):
            return linear(rows_NI.to(self.dtype), self.weight, self.bias)

    def joined(self, rows_NI: Tensor) -> Tensor:
        """What all layers make of [N, in], side by side."""
        assert self.weight is not None, "refresh() comes first; prefill() in between frees what trains"
        return self.multiply(rows_NI)

    def read(self, index: int, input: Tensor) -> Tensor:
        """What layer `index` makes of [..., in]. The other layers' parts wait until these ask with the same input."""
        outputs = self._outputs if input is self._input else ()
        if not outputs or outputs[index] is None:
            out_NO = self.joined(input.reshape(-1, input.shape[-1]))
            # not views to autograd: some models write into what a layer gives them
            outputs = torch.unsafe_split_with_sizes(out_NO.view(*input.shape[:-1], -1), self.widths, dim=-1)
        found = outputs[index]
        assert found is not None
        waiting = (*outputs[:index], None, *outputs[index + 1 :])
        is_over = all(one is None for one in waiting)
        self._input, self._outputs = (None, ()) if is_over else (input, waiting)
        return found


class PackedProduct(Product):
    """With the weights in oneDNN's order."""

    def copied(self, weights: Sequence[Tensor]) -> Any:
        return torch.ops.mkldnn._reorder_linear_weight(one_below_another(weights, self.dtype))

    def multiply(self, rows_NI: Tensor) -> Tensor:
        rows_NI = rows_NI.to(self.dtype)
        out_NO: Tensor = torch.ops.mkldnn._linear_pointwise(rows_NI, self.weight, self.bias, "none", [], "")
        return out_NO


class PackedLinear(nn.Module):
    """A linear layer to decode with: one of a product's."""

    def __init__(self, product: Product, index: int) -> None:
        super().__init__()
        self.product, self.index = product, index

    @property
    def weight(self) -> Tensor:
        """The layer's own: adapters ask for its type."""
        return self.product.own[self.index][0]

    def forward(self, input: Tensor) -> Tensor:
        """[..., in] to [..., out], in the product's type."""
        return self.product.read(self.index, input)


def together(*layers: nn.Module) -> Callable[[Tensor], Tensor]:
    """What makes [N, all layers' out] of the input [N, in] of several: their product, where they have one together."""
    first = layers[0]
    if isinstance(first, PackedLinear):
        product, places = first.product, [(getattr(one, "product", None), getattr(one, "index", -1)) for one in layers]
        if places == [(product, index) for index in range(len(product.widths))]:
            return product.joined
    return lambda rows_NI: torch.cat([layer(rows_NI) for layer in layers], dim=-1)


class Packed:
    """A model that shares every tensor with `source`, but multiplies by copies of its linear weights.

    `make` says which products take the places of linear layers that may be joined, or none; `adapt` the same of layers
    with their adapters. Layers whose adapter stays for itself are asked for as any other.
    """

    def __init__(self, source: Any, make: Make, adapt: Make | None = None) -> None:
        shared = {id(tensor): tensor for tensor in chain(source.parameters(), source.buffers())}
        self.model, self.products = copy.deepcopy(source, shared), list[Product]()
        if adapt is not None:
            self._replace(side_by_side(self.model, with_adapters=True), adapt)
        self._replace(side_by_side(self.model), make)

    def _replace(self, groups: Sequence[Sequence[Place]], make: Make) -> None:
        for places in groups:
            free = iter(places)
            for product in make([getattr(*place) for place in places]):
                self.products.append(product)
                for index in range(len(product.widths)):
                    setattr(*next(free), PackedLinear(product, index))

    def refresh(self) -> None:
        """Copy again what has changed."""
        for product in self.products:
            product.refresh()

    def release(self) -> None:
        """Free the copies of what trains."""
        for product in self.products:
            if product.trains:
                product.release()


def exact(layers: Sequence[nn.Linear]) -> list[Product]:
    """Each in its own type: large products are packed where that can be done, small ones stay as they are."""
    dtype = layers[0].weight.dtype
    return [PackedProduct(layers, dtype)] if is_large(layers) and can_pack(dtype) else []


def rounded(layers: Sequence[nn.Linear], head: nn.Linear) -> list[Product]:
    """In bfloat16, but the output head in float32: large products are packed where that can be done."""
    dtype = torch.float32 if layers[0].weight is head.weight else torch.bfloat16
    if is_large(layers) and can_pack(dtype):
        return [PackedProduct(layers, dtype)]
    return [Product([layer], dtype) for layer in layers]


def is_large(layers: Sequence[nn.Linear]) -> bool:
    """Whether a product of all of them, on the processor, is worth a call to another library."""
    return sum(layer.weight.numel() for layer in layers) >= FEWEST and layers[0].weight.is_cpu


def side_by_side(model: nn.Module, with_adapters: bool = False) -> list[list[Place]]:
    """Where the linear layers stand, those together that read the same input; or those alone that have an adapter, with
    it. Layers that compute something else (quantised ones) are left out."""
    groups: dict[object, list[Place]] = {}
    for path, parent in list(model.named_modules()):
        for name, module in parent.named_children():
            layer = getattr(module, "base_layer", None) if with_adapters else module
            if isinstance(layer, nn.Linear) and type(layer).forward is nn.Linear.forward:
                around, _, last = f"{path}.{name}".removesuffix(".base_layer").rpartition(".")  # an adapter's base
                kind = (layer.in_features, layer.weight.dtype, layer.bias is None)
                groups.setdefault((around, JOINED.get(last, last), *kind), []).append((parent, name))
    return list(groups.values())


def one_below_another(tensors: Sequence[Tensor], dtype: torch.dtype) -> Tensor:
    """All of them in one type: one alone is not copied if it has the type."""
    if len(tensors) == 1:
        return tensors[0].detach().to(dtype)
    out = tensors[0].new_empty(sum(map(len, tensors)), *tensors[0].shape[1:], dtype=dtype)
    for part, tensor in zip(torch.split(out, [len(one) for one in tensors]), tensors, strict=True):
        part.copy_(tensor)  # in one pass, whatever the types
    return out
