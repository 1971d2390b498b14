"""A transformer whose decoding multiplies in 8 bits what it would multiply in float32: less exact than the policy, and
about twice as fast where products are what takes the time. In bfloat16 that is the output head alone; other products
are as fast there as they are in 8 bits.

Each row of numbers is first turned by a Hadamard matrix, and the weights with it, which leaves the product as it is.
It spreads the few large numbers that language models have over their neighbours: without it, rounding costs SmolLM2
ten times as much (QuaRot, 2404.00456). Then weights are rounded for each output, and inputs for each row, so that
no row's large numbers make another's coarser.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from strop.compute.decoder import DecodingState, decoding_state
from strop.compute.fused_model import FusedModel, fuse_exactly, fuse_in_bfloat16
from strop.compute.lora_linear import fuse_lora
from strop.compute.packed_linear import FEWEST, FusedLinear, is_large, stacked
from strop.compute.padded_decoder import PaddedState
from strop.policies.transformer import Transformer
from strop.types import Tokens

ENGINE = "fbgemm"
OPERATIONS = ("linear_prepack", "linear_with_input_q_dq_qweight_dq_output_fp32")
WEIGHT, INPUT, ZERO = 100, 127, 128
"""Weights are rounded to whole numbers up to 100, and inputs up to 127, which are stored above a zero of 128.
Processors without VNNI add two products in 16 bits and cut what does not fit: with weights up to 127 that happens often
enough to double the rounding error of SmolLM2, with weights up to 100 it hardly does."""
TINY = 1e-30
"""Instead of 0 as the largest of a row of zeros: small enough for any other row, and its inverse is finite."""
BLOCK = 64
"""Numbers that are turned together, or the largest power of two that divides the width."""


def require_eight_bits() -> None:
    """Refuse a torch without products in 8 bits."""
    has_operations = all(hasattr(torch.ops.quantized, name) for name in OPERATIONS)
    if ENGINE not in torch.backends.quantized.supported_engines or not has_operations:
        raise RuntimeError(
            f"sampler=EightBit needs torch's {ENGINE}, which torch {torch.__version__} does not have here (it is built "
            "for x86 processors). Sample with strop.samplers.LocalSampler.Config()."
        )


def hadamard(size: int) -> Tensor:
    """The orthogonal symmetric matrix of +-1 / sqrt(size); `size` is a power of two."""
    matrix = torch.ones(1, 1)
    while len(matrix) < size:
        matrix = torch.cat([torch.cat([matrix, matrix], dim=1), torch.cat([matrix, -matrix], dim=1)])
    return matrix / math.sqrt(size)


class EightBitLinear(FusedLinear):
    """Turned, rounded, multiplied as whole numbers, and scaled back to float32."""

    def __init__(self, layers: Sequence[nn.Linear]) -> None:
        super().__init__(layers, torch.float32)
        self.turn = hadamard(math.gcd(layers[0].in_features, BLOCK))

    def turned(self, rows_NI: Tensor) -> Tensor:
        """[N, in] times the block-diagonal orthogonal matrix."""
        return (rows_NI.reshape(-1, len(self.turn)) @ self.turn).view(rows_NI.shape)

    def copy_weights(self, weights: Sequence[Tensor]) -> Any:
        turned_OI = self.turned(stacked(weights, torch.float32))
        largest_O1 = turned_OI.abs().amax(dim=1, keepdim=True).clamp_(min=TINY)
        turned_OI *= WEIGHT / largest_O1
        self.scale_O = largest_O1.squeeze(1) / WEIGHT
        with _engine(), warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*torch.qint8.* are deprecated", category=UserWarning)
            # one scale for all: torch packs a scale for each output number by number, ten times as slowly
            return torch.ops.quantized.linear_prepack(torch.quantize_per_tensor(turned_OI, 1.0, 0, torch.qint8), None)

    def multiply(self, rows_NI: Tensor) -> Tensor:
        with torch.autocast("cpu", enabled=False):
            turned_NI = self.turned(rows_NI.float())
        largest_N1 = turned_NI.abs().amax(dim=1, keepdim=True).clamp_(min=TINY)
        out_NO: Tensor = torch.ops.quantized.linear_with_input_q_dq_qweight_dq_output_fp32(
            turned_NI / largest_N1, 1 / INPUT, ZERO, self.weight
        )
        out_NO.mul_(largest_N1).mul_(self.scale_O)
        return out_NO if self.bias is None else out_NO.add_(self.bias)


@contextmanager
def _engine() -> Iterator[None]:
    """What packs the weights also multiplies by them; torch's own choice of it is one for the whole process."""
    before, torch.backends.quantized.engine = torch.backends.quantized.engine, ENGINE
    try:
        yield
    finally:
        torch.backends.quantized.engine = before


def in_eight_bits(layers: Sequence[nn.Linear], head: nn.Linear, dtype: torch.dtype) -> list[FusedLinear]:
    """Large products of float32; the others as they are without 8 bits."""
    is_float32 = dtype is torch.float32 or layers[0].weight is head.weight
    if is_float32 and is_large(layers):
        return [EightBitLinear(layers)]
    return fuse_exactly(layers) if dtype is torch.float32 else fuse_in_bfloat16(layers, head)


class EightBitDecoder:
    """Prompts are read by the policy's own weights, tokens are made by 8-bit copies of them. Only for sampling."""

    def __init__(self, policy: Transformer) -> None:
        require_eight_bits()
        head, dtype = policy.model.get_output_embeddings(), policy.torch_dtype
        fuse = partial(in_eight_bits, head=head, dtype=dtype)
        is_rounded = policy.has_adapter and dtype is torch.bfloat16
        lora = partial(fuse_lora, head=head, dtype=dtype) if is_rounded else None
        self.policy, self.lock = policy, policy.lock
        self.copy = FusedModel(policy.model, fuse, lora)
        if not any(isinstance(product, EightBitLinear) for product in self.copy.linears):
            raise ValueError(
                f"sampler=EightBit would change nothing: no linear layer of {FEWEST} weights or more is multiplied in "
                "float32 here. Sample with strop.samplers.LocalSampler.Config(), which is exact."
            )

    def prefill(self, prompts: Sequence[Tokens]) -> tuple[Tensor, DecodingState]:
        self.copy.refresh()
        logits_BV, state = PaddedState.prefill(self.policy.training_model(), prompts, self.policy.dtype)
        return logits_BV, decoding_state(state, self.copy.model)

    def decode(self, state: DecodingState, tokens_B: Tensor) -> tuple[Tensor, DecodingState]:
        return state.step(tokens_B), state

    def keep(self, state: DecodingState, rows: Sequence[int]) -> DecodingState:
        return state.keep(rows)
