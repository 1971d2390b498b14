"""The base model under an adapter, as a frozen policy: the reference of a run that trains the adapter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor
from torch.nn import Parameter

from strop.compute.runner import DecodingState
from strop.policies._heads import LOGITS
from strop.types import Batch, Reduce, State, Tokens, Want

if TYPE_CHECKING:
    from strop.policies.transformer import Transformer


class AdapterOff:
    """A transformer policy without its adapter. It has no parameters and no state of its own."""

    has_values = False

    def __init__(self, policy: Transformer) -> None:
        self.layout: Literal["joined", "per_turn"] = policy.layout
        self._policy, self._runner, self.lock = policy, policy.runner.without_adapter(), policy.lock
        self.vocabulary, self.context = policy.vocabulary, policy.context

    def prefill(self, prompts: Sequence[Tokens]) -> tuple[Tensor, DecodingState]:
        return self._runner.prefill(prompts)

    def decode(self, state: DecodingState, tokens_B: Tensor) -> tuple[Tensor, DecodingState]:
        return state.step(tokens_B), state

    def keep(self, state: DecodingState, rows: Sequence[int]) -> DecodingState:
        return state.keep(rows)

    def join(self, states: Sequence[DecodingState]) -> DecodingState:
        return self._runner.join(states)

    @torch.no_grad()
    def heads(self, batch: Batch, reduce: Reduce, want: frozenset[Want] = LOGITS) -> dict[str, Tensor]:
        return self._policy.heads_of(self._runner, batch, reduce, want)

    def reference(self) -> AdapterOff:
        return self

    def twin(self) -> AdapterOff:
        return self

    def parameters(self) -> list[Parameter]:
        return []

    def state_dict(self) -> State:
        return {}

    def load_state_dict(self, state: State) -> None:
        """Nothing to restore: the base is what the config names."""
