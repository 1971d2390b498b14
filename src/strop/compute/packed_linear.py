"""Linear layers for decoding: fused where they read the same input, with weights in oneDNN's memory order.

For each token, decoding multiplies every weight by only a few rows. In oneDNN's own memory order that is 1.3 to 2 times
as fast as in torch's, and one large matrix multiplication is faster than several small ones, so layers that read the
same input are fused. In bfloat16, autocast rounds float32 weights again for every multiplication: once for thousands of
tokens in a training pass, but once for every token in decoding. Here each weight is rounded and reordered only when it
has changed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from strop.compute.precision import has_bfloat16

FEWEST = 2**18
"""From so many weights on, a multiplication is worth oneDNN's 30 microseconds a call; below, torch's is as fast."""


def can_pack(dtype: torch.dtype) -> bool:
    """Whether this torch offers oneDNN's packed multiplication, and the processor computes it in `dtype`."""
    names = ("_reorder_linear_weight", "_linear_pointwise")
    if not all(hasattr(torch.ops.mkldnn, name) for name in names):
        return False
    return dtype is torch.float32 or (dtype is torch.bfloat16 and has_bfloat16())


def is_large(layers: Sequence[nn.Linear]) -> bool:
    """Whether the fused layers are on the CPU and large enough for oneDNN to be faster than torch."""
    return sum(layer.weight.numel() for layer in layers) >= FEWEST and layers[0].weight.is_cpu


class FusedLinear:
    """Linear layers that read the same input, as one matrix multiplication by a copy of their weights in `dtype`."""

    def __init__(self, layers: Sequence[nn.Linear], dtype: torch.dtype) -> None:
        self.originals = [(layer.weight, layer.bias) for layer in layers]  # parameters of the source model, not of ours
        self.sources: list[Tensor] = [one for one in chain.from_iterable(self.originals) if one is not None]
        self.widths = [layer.out_features for layer in layers]
        self.dtype = dtype
        self.release()

    @property
    def is_trainable(self) -> bool:
        """Whether any of the copied weights is trainable."""
        return any(source.requires_grad for source in self.sources)

    def release(self) -> None:
        """Free the copy; `refresh` makes it again."""
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
        weights, biases = zip(*self.originals, strict=True)
        with torch.inference_mode(False), torch.no_grad():  # a copy made in inference mode could not train later
            self.weight = self.copy_weights(weights)
            self.bias = None if biases[0] is None else self.copy_biases(biases)
        self.versions = versions

    def copy_weights(self, weights: Sequence[Tensor]) -> Any:
        """The layers' weights in the form that `multiply` takes."""
        return stacked(weights, self.dtype)

    def copy_biases(self, biases: Sequence[Tensor]) -> Tensor:
        """The layers' biases in the form that `multiply` takes."""
        return stacked(biases, self.dtype)

    def multiply(self, rows_NI: Tensor) -> Tensor:
        """[N, in] to [N, all layers' out], in `dtype`."""
        with torch.autocast("cpu", enabled=False):
            return linear(rows_NI.to(self.dtype), self.weight, self.bias)

    def forward(self, rows_NI: Tensor) -> Tensor:
        """The outputs of all layers for [N, in], side by side."""
        assert self.weight is not None, "call refresh() first; prefill() in between frees copies of trainable weights"
        return self.multiply(rows_NI)

    def output(self, index: int, input: Tensor) -> Tensor:
        """The output of layer `index` for [..., in]. The other layers' outputs are kept until they are asked for, with
        the same input."""
        outputs = self._outputs if input is self._input else ()
        if not outputs or outputs[index] is None:
            out_NO = self.forward(input.reshape(-1, input.shape[-1]))
            # not views to autograd: some models write into what a layer gives them
            outputs = torch.unsafe_split_with_sizes(out_NO.view(*input.shape[:-1], -1), self.widths, dim=-1)
        found = outputs[index]
        assert found is not None
        waiting = (*outputs[:index], None, *outputs[index + 1 :])
        is_over = all(one is None for one in waiting)
        self._input, self._outputs = (None, ()) if is_over else (input, waiting)
        return found


class PackedLinear(FusedLinear):
    """Fused layers whose weights lie in oneDNN's order."""

    def copy_weights(self, weights: Sequence[Tensor]) -> Any:
        return torch.ops.mkldnn._reorder_linear_weight(stacked(weights, self.dtype))

    def multiply(self, rows_NI: Tensor) -> Tensor:
        rows_NI = rows_NI.to(self.dtype)
        out_NO: Tensor = torch.ops.mkldnn._linear_pointwise(rows_NI, self.weight, self.bias, "none", [], "")
        return out_NO


class FusedPart(nn.Module):
    """Replaces one linear layer in a model: its part of the fused layers' output."""

    def __init__(self, fused: FusedLinear, index: int) -> None:
        super().__init__()
        self.fused, self.index = fused, index

    @property
    def weight(self) -> Tensor:
        """The layer's own weight: adapters read its type."""
        return self.fused.originals[self.index][0]

    def forward(self, input: Tensor) -> Tensor:
        """[..., in] to [..., out], in the fused layers' type."""
        return self.fused.output(self.index, input)


def fused_forward(*layers: nn.Module) -> Callable[[Tensor], Tensor]:
    """A function from [N, in] to the outputs of these layers, side by side: one multiplication if they are fused."""
    parts = [layer for layer in layers if isinstance(layer, FusedPart)]
    if len(parts) == len(layers):
        fused = parts[0].fused
        if [(part.fused, part.index) for part in parts] == [(fused, index) for index in range(len(fused.widths))]:
            return fused.forward
    return lambda rows_NI: torch.cat([layer(rows_NI) for layer in layers], dim=-1)


def stacked(tensors: Sequence[Tensor], dtype: torch.dtype) -> Tensor:
    """The tensors concatenated along the first dimension, in this type. A single tensor of this type is not copied."""
    if len(tensors) == 1:
        return tensors[0].detach().to(dtype)
    out = tensors[0].new_empty(sum(map(len, tensors)), *tensors[0].shape[1:], dtype=dtype)
    for part, tensor in zip(torch.split(out, [len(one) for one in tensors]), tensors, strict=True):
        part.copy_(tensor)  # in one pass, whatever the types
    return out
