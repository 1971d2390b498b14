"""The base model under an adapter, as a frozen policy: the reference of a run that trains the adapter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor
from torch.nn import Parameter

from strop.compute.padded_decoder import PaddedState
from strop.policies._heads import LOGITS
from strop.types import Batch, Reduce, State, Tokens, Want

if TYPE_CHECKING:
    from strop.policies.transformer import Transformer


class AdapterOff:
    """A transformer policy with its adapter switched off during each call. It has no parameters and no state."""

    layout: Literal["joined", "per_turn"] = "joined"
    has_values = False

    def __init__(self, policy: Transformer) -> None:
        self._policy, self.lock = policy, policy.lock
        self.vocabulary, self.context = policy.vocabulary, policy.context

    def prefill(self, prompts: Sequence[Tokens]) -> tuple[Tensor, PaddedState]:
        with self._policy.without_adapter():
            return PaddedState.prefill(self._policy.training_model(), prompts, self._policy.dtype)

    def decode(self, state: PaddedState, tokens_B: Tensor) -> tuple[Tensor, PaddedState]:
        with self._policy.without_adapter():
            return state.step(tokens_B), state

    def keep(self, state: PaddedState, rows: Sequence[int]) -> PaddedState:
        return state.keep(rows)

    def heads(self, batch: Batch, reduce: Reduce, want: frozenset[Want] = LOGITS) -> dict[str, Tensor]:
        with self._policy.without_adapter(), torch.no_grad():
            return self._policy.heads(batch, reduce, want)

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
