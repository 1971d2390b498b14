"""Decoding by transformers' own forward pass: left-padded prompts, a key-value cache, one token a step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from strop.compute.kv_cache import join_rows, keep_rows, preallocated_cache, sees_all
from strop.compute.precision import autocast
from strop.types import Tokens


@dataclass(slots=True)
class PaddedState:
    """The state of decoding a batch of rows.

    model       computes the next token, in the type `dtype`
    cache       keys and values of all tokens so far
    mask_BT     1 where a slot of the cache holds a token, 0 where it is padding
    padding_B   how many slots of each row are padding: read here, since reading the mask would wait for the device
    position_B  each row's next position
    """

    model: Any
    dtype: torch.dtype
    cache: Any
    mask_BT: Tensor
    padding_B: list[int]
    position_B: Tensor

    @classmethod
    def prefill(cls, model: Any, prompts: Sequence[Tokens], dtype: torch.dtype) -> tuple[Tensor, PaddedState]:
        """Read the prompts; returns logits [B, V] at the last position, the only ones computed, and the state."""
        tokens_BT, mask_BT = (one.to(model.device) for one in left_padded(prompts))
        position_BT = (mask_BT.long().cumsum(dim=1) - 1).clamp(min=0)
        padding_B = [tokens_BT.shape[1] - len(prompt) for prompt in prompts]
        cache = preallocated_cache(model.config)
        state = cls(model, dtype, cache, mask_BT.long(), padding_B, position_BT[:, -1] + 1)
        return state._forward(tokens_BT, position_BT), state

    def step(self, tokens_B: Tensor) -> Tensor:
        """Logits [B, V] after one more token for each row."""
        tokens_B = tokens_B.to(self.mask_BT.device)
        self.mask_BT = torch.cat([self.mask_BT, self.mask_BT.new_ones(len(tokens_B), 1)], dim=1)
        logits_BV = self._forward(tokens_B.unsqueeze(1), self.position_B.unsqueeze(1))
        self.position_B = self.position_B + 1
        return logits_BV

    def keep(self, rows: Sequence[int]) -> PaddedState:
        """These rows, in this order; a row may be named several times. This state must not be used afterwards."""
        keep_rows(self.cache, rows)
        index, padding_B = torch.tensor(rows, device=self.mask_BT.device), [self.padding_B[row] for row in rows]
        return PaddedState(self.model, self.dtype, self.cache, self.mask_BT[index], padding_B, self.position_B[index])

    def __len__(self) -> int:
        """The number of rows."""
        return len(self.padding_B)

    @classmethod
    def join(cls, states: Sequence[PaddedState]) -> PaddedState:
        """The rows of all these states, in their order, ending side by side; all layers see all tokens (`sees_all`).

        Slots that are padding in all rows of a state leave. The states must not be used afterwards.
        """
        used = [state.mask_BT.shape[1] - min(state.padding_B) for state in states]
        length, padding_B = max(used), list[int]()
        for state in states:
            padding_B += [padding + length - state.mask_BT.shape[1] for padding in state.padding_B]
        first = states[0]
        join_rows(first.cache, [state.cache for state in states[1:]], used)
        masks = [pad(state.mask_BT[:, -own:], (length - own, 0)) for state, own in zip(states, used, strict=True)]
        position_B = torch.cat([state.position_B for state in states])
        return cls(first.model, first.dtype, first.cache, torch.cat(masks), padding_B, position_B)

    @torch.no_grad()
    def _forward(self, tokens_BT: Tensor, position_BT: Tensor) -> Tensor:
        with autocast(self.dtype, tokens_BT.device.type):
            out = self.model(
                input_ids=tokens_BT,
                attention_mask=self._attention_mask(tokens_BT.shape[1]) if any(self.padding_B) else None,
                position_ids=position_BT,
                past_key_values=self.cache,
                use_cache=True,
                logits_to_keep=1,
            )
        self.cache = out.past_key_values
        logits_BV: Tensor = out.logits[:, -1]
        return logits_BV

    def _attention_mask(self, width: int) -> Tensor:
        """For the last `width` tokens of each row: a whole mask [B, 1, width, T] where a model takes one as it is.

        From [B, T] transformers makes the whole mask itself, and waits for the device to see whether it needs one. So
        it must for layers that see a window or keep a state, and where the mask gives the positions too (ALiBi).
        """
        config = self.model.config
        if config._attn_implementation != "sdpa" or getattr(config, "alibi", False) or not sees_all(self.cache):
            return self.mask_BT
        length = self.mask_BT.shape[1]
        causal_WT = self.mask_BT.new_ones(width, length, dtype=torch.bool).tril(length - width)
        return causal_WT & (self.mask_BT > 0)[:, None, None, :]


def left_padded(prompts: Sequence[Tokens]) -> tuple[Tensor, Tensor]:
    """Tokens [B, T], 0 in the padding before each prompt, and a mask that is true at tokens; on the CPU."""
    width = max(len(prompt) for prompt in prompts)
    tokens_BT = torch.zeros(len(prompts), width, dtype=torch.long)
    mask_BT = torch.zeros(len(prompts), width, dtype=torch.bool)
    for b, prompt in enumerate(prompts):
        tokens_BT[b, width - len(prompt) :] = torch.tensor(prompt)
        mask_BT[b, width - len(prompt) :] = True
    return tokens_BT, mask_BT
