"""Decoding by transformers' own forward pass: left-padded prompts, a key-value cache, one token a step."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from strop.compute.kv_cache import keep_rows, preallocated_cache
from strop.types import Tokens


@dataclass(slots=True)
class PaddedState:
    """The state of decoding a batch of rows.

    model       computes the next token, in the type `dtype`
    cache       keys and values of all tokens so far
    mask_BT     1 where a slot of the cache holds a token, 0 where it is padding
    position_B  each row's next position
    """

    model: Any
    dtype: str
    cache: Any
    mask_BT: Tensor
    position_B: Tensor

    @classmethod
    def prefill(cls, model: Any, prompts: Sequence[Tokens], dtype: str) -> tuple[Tensor, PaddedState]:
        """Read the prompts; returns logits [B, V] at the last position, the only ones computed, and the state."""
        width = max(len(prompt) for prompt in prompts)
        tokens_BT = torch.zeros(len(prompts), width, dtype=torch.long)
        mask_BT = torch.zeros(len(prompts), width, dtype=torch.long)
        for b, prompt in enumerate(prompts):
            tokens_BT[b, width - len(prompt) :] = torch.tensor(prompt)
            mask_BT[b, width - len(prompt) :] = 1
        position_BT = (mask_BT.cumsum(dim=1) - 1).clamp(min=0)
        state = cls(model, dtype, preallocated_cache(model.config), mask_BT, position_BT[:, -1] + 1)
        return state._forward(tokens_BT, position_BT), state

    def step(self, tokens_B: Tensor) -> Tensor:
        """Logits [B, V] after one more token for each row."""
        self.mask_BT = torch.cat([self.mask_BT, self.mask_BT.new_ones(len(tokens_B), 1)], dim=1)
        logits_BV = self._forward(tokens_B.unsqueeze(1), self.position_B.unsqueeze(1))
        self.position_B = self.position_B + 1
        return logits_BV

    def keep(self, rows: Sequence[int]) -> PaddedState:
        """These rows, in this order; a row may be named several times. This state must not be used afterwards."""
        keep_rows(self.cache, rows)
        index = torch.tensor(rows)
        return PaddedState(self.model, self.dtype, self.cache, self.mask_BT[index], self.position_B[index])

    @torch.no_grad()
    def _forward(self, tokens_BT: Tensor, position_BT: Tensor) -> Tensor:
        with autocast(self.dtype):
            out = self.model(
                input_ids=tokens_BT,
                attention_mask=None if bool(self.mask_BT.all()) else self.mask_BT,
                position_ids=position_BT,
                past_key_values=self.cache,
                use_cache=True,
                logits_to_keep=1,
            )
        self.cache = out.past_key_values
        logits_BV: Tensor = out.logits[:, -1]
        return logits_BV


def autocast(dtype: str) -> AbstractContextManager[Any]:
    """torch's autocast for bfloat16, nothing for float32."""
    return torch.autocast("cpu", dtype=torch.bfloat16) if dtype == "bfloat16" else nullcontext()
