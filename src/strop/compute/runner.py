"""What runs a transformer: two ways to the same numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, Self

import torch
from torch import Tensor

from strop.compute.fast_runner import FastRunner, can_run_fast
from strop.compute.plain_runner import PlainRunner
from strop.types import Tokens


class DecodingState(Protocol):
    """Rows that are being continued, with their keys and values."""

    def step(self, tokens_B: Tensor) -> Tensor:
        """Logits [B, V] after one more token for each row."""

    def keep(self, rows: Sequence[int]) -> Self:
        """These rows, in this order; a row may be named several times. The old state must not be used afterwards."""


class Runner(Protocol):
    """A model with a way to compute it. It owns no parameters: they stay the model's, and change in place."""

    def prefill(self, prompts: Sequence[Tokens]) -> tuple[Tensor, DecodingState]:
        """Read the prompts: logits [B, V] of the next token, and the state to go on from."""

    def join(self, states: Sequence[Any]) -> DecodingState:
        """One state of the rows of all these, in their order. The old states must not be used afterwards."""

    def hidden_at(self, tokens_BT: Tensor, decision_BT: Tensor) -> Tensor:
        """The last hidden state [N, H] before each decision, in row order; differentiable."""

    def head(self) -> Callable[[Tensor], Tensor]:
        """The output head: from hidden states [N, H] to logits [N, V] in float32; differentiable."""

    def without_adapter(self) -> Runner:
        """The same model without its adapters: another view of the same weights."""


def runner_of(model: Any, dtype: torch.dtype, has_adapter: bool, is_plain: bool = False) -> Runner:
    """The processor's own path where the model has one; else, and with `is_plain` always, transformers' forward pass.

    The plain path with the processor's products of single layers is what other models on a CPU take; with `is_plain`
    there is none of it, as on an accelerator.
    """
    on_processor = not is_plain and model.device.type == "cpu"
    if on_processor and can_run_fast(model, has_adapter):
        return FastRunner.of(model, dtype)
    return PlainRunner.of(model, dtype, has_products=on_processor)
