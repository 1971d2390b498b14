"""Sequences of different lengths read as one row of tokens, each prompt once: the learner's forward pass.

A group of G answers to one prompt of P tokens costs P + (the tokens of its answers) in every product of matrices, in
the forward and in the backward pass; as padded rows it would cost G * (P + the longest). Only attention, a few percent
of the work, sees padded rows. The result is the same up to rounding; the gradient of a prompt flows from every answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from strop.types import Tokens

NAME = "strop_ragged"
"""What transformers calls our attention."""


def hidden_at_decisions(backbone: Any, tokens_BT: Tensor, decision_BT: Tensor) -> Tensor:
    """The last hidden state [N, H] before each decision, in row order: slot t is predicted at t - 1."""
    if not reads_one_row(backbone.config, tokens_BT.shape[1]):
        hidden_BTH: Tensor = backbone(input_ids=tokens_BT, use_cache=False).last_hidden_state
        return hidden_BTH[:, :-1][decision_BT[:, 1:]]
    decides_B = decision_BT.any(dim=1)
    first_B = torch.where(decides_B, decision_BT.int().argmax(dim=1), 1)
    last_B = torch.where(decides_B, decision_BT.shape[1] - 1 - decision_BT.flip(1).int().argmax(dim=1), 1)
    prompts = [tuple(row[:first]) for row, first in zip(tokens_BT.tolist(), first_B.tolist(), strict=True)]
    distinct = list(dict.fromkeys(prompts))
    if len(distinct) == len(prompts):
        return _hidden(backbone, tokens_BT, decision_BT, [], None, torch.zeros_like(first_B), last_B)
    owner_B = torch.tensor([distinct.index(prompt) for prompt in prompts])
    return _hidden(backbone, tokens_BT, decision_BT, distinct, owner_B, first_B, last_B)


def _hidden(
    backbone: Any,
    tokens_BT: Tensor,
    decision_BT: Tensor,
    distinct: list[Tokens],
    owner_B: Tensor | None,
    first_B: Tensor,
    last_B: Tensor,
) -> Tensor:
    """The same, of `distinct` prompts and then the tokens [first, last) of every row."""
    prompts, rests = Block.of([len(prompt) for prompt in distinct]), Block.of((last_B - first_B).tolist())
    row_N, since_N = rests.where_N()
    position_N = first_B[row_N] + since_N
    flat = torch.tensor([token for prompt in distinct for token in prompt], dtype=torch.long)
    config = backbone.config
    groups = config.num_attention_heads // getattr(config, "num_key_value_heads", config.num_attention_heads)
    rows = Rows(prompts, rests, owner_B, _mask(prompts.width, rests, first_B, groups))
    with _attention(config):
        read = backbone(
            input_ids=torch.cat([flat, tokens_BT[row_N, position_N]]).unsqueeze(0),
            position_ids=torch.cat([prompts.where_N()[1], position_N]).unsqueeze(0),
            use_cache=False,
            rows=rows,
        )
    # each decision is predicted one token earlier: in its row's rest, or at the end of its prompt
    row_D, slot_D = decision_BT.nonzero(as_tuple=True)
    index_D = len(flat) + rests.start_B[row_D] + slot_D - 1 - first_B[row_D]
    if owner_B is not None:
        end_P = prompts.start_B + torch.tensor([len(prompt) for prompt in distinct]) - 1
        index_D = torch.where(slot_D == first_B[row_D], end_P[owner_B[row_D]], index_D)
    hidden: Tensor = read.last_hidden_state[0, index_D]
    return hidden


def reads_one_row(config: Any, width: int) -> bool:
    """Whether this kind of model hands its attention to transformers' interface, and wants nothing but plain attention
    over so many tokens."""
    window = getattr(config, "sliding_window", None)
    is_windowed = window is not None and getattr(config, "use_sliding_window", True) and width > window
    return config.model_type in PLAIN and config._attn_implementation == "sdpa" and not is_windowed


PLAIN = frozenset({"llama", "mistral", "qwen2", "qwen3", "smollm3", "olmo2", "phi3", "granite"})
"""Kinds of models that are read in one row; tests compare each with its padded reading."""


@dataclass(frozen=True, slots=True)
class Block:
    """Sequences that stand one behind the other.

    slot_N   where each token stands in padded rows [B, width], as a flat index
    start_B  where each sequence begins among the N tokens
    """

    slot_N: Tensor
    start_B: Tensor
    width: int

    @classmethod
    def of(cls, lengths: list[int]) -> Block:
        """Of sequences of these lengths."""
        length_B, width = torch.tensor(lengths, dtype=torch.long), max(lengths, default=0)
        stands_BW = torch.arange(width) < length_B.unsqueeze(1)
        return cls(stands_BW.flatten().nonzero().flatten(), length_B.cumsum(0) - length_B, width)

    def where_N(self) -> tuple[Tensor, Tensor]:
        """Each token's sequence, and its place in that."""
        width = max(self.width, 1)
        return self.slot_N // width, self.slot_N % width

    def pad(self, states_NHD: Tensor) -> Tensor:
        """[N, heads, D] to [B, heads, width, D], 0 behind each sequence."""
        _, heads, size = states_NHD.shape
        num = len(self.start_B)
        padded = states_NHD.new_zeros(num * self.width, heads, size).index_copy(0, self.slot_N, states_NHD)
        return padded.view(num, self.width, heads, size).transpose(1, 2)

    def unpad(self, states_BHWD: Tensor) -> Tensor:
        """[B, heads, width, D] to [N, heads, D]."""
        return states_BHWD.transpose(1, 2).flatten(0, 1).index_select(0, self.slot_N)


@dataclass(frozen=True, slots=True)
class Rows:
    """How a row of tokens falls into sequences: distinct prompts, then the rest of every row.

    owner_B  which prompt each row continues; None where there are no prompts and the rests are whole sequences
    mask     [B, 1, groups * rest, prompt + rest]: which keys a token of a rest sees, where it continues a prompt
    """

    prompts: Block
    rests: Block
    owner_B: Tensor | None
    mask: Tensor


def _mask(prompt: int, rests: Block, first_B: Tensor, groups: int) -> Tensor:
    """Its prompt, and its own row up to itself; as often as there are query heads to a key head."""
    rest_WW = torch.ones(rests.width, rests.width, dtype=torch.bool).tril()  # padding too: no softmax is empty
    prompt_B1P = torch.arange(prompt) < first_B[:, None, None]
    num = len(first_B)
    mask_BWS = torch.cat([prompt_B1P.expand(-1, rests.width, -1), rest_WW.expand(num, -1, -1)], dim=2)
    return mask_BWS.repeat(1, groups, 1).unsqueeze(1)


def attend(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: None,
    *,
    rows: Rows,
    scaling: float,
    **_: Any,
) -> tuple[Tensor, None]:
    """transformers' interface: [1, heads, N, D] to [1, N, heads, D], every sequence for itself."""
    # under autocast positions are turned in float32, and attention would round to the values' type by itself
    query_NHD, key_NHD, value_NHD = (states[0].transpose(0, 1).to(value.dtype) for states in (query, key, value))
    if rows.owner_B is None:
        return _whole(rows.rests, query_NHD, key_NHD, value_NHD, scaling).unsqueeze(0), None
    num = len(rows.prompts.slot_N)
    prompts = _whole(rows.prompts, query_NHD[:num], key_NHD[:num], value_NHD[:num], scaling)
    rests = _continued(rows, rows.owner_B, query_NHD[num:], key_NHD, value_NHD, scaling)
    return torch.cat([prompts, rests]).unsqueeze(0), None


def _whole(block: Block, query_NHD: Tensor, key_NHD: Tensor, value_NHD: Tensor, scaling: float) -> Tensor:
    """Sequences from their beginning: [N, heads, D]."""
    query, key, value = (block.pad(states) for states in (query_NHD, key_NHD, value_NHD))
    is_grouped = query.shape[1] != key.shape[1]
    return block.unpad(
        scaled_dot_product_attention(query, key, value, is_causal=True, scale=scaling, enable_gqa=is_grouped)
    )


def _continued(
    rows: Rows, owner_B: Tensor, query_NHD: Tensor, key_NHD: Tensor, value_NHD: Tensor, scaling: float
) -> Tensor:
    """Rests behind their prompts: [N, heads, D]. Query heads that share keys become more tokens: no key is repeated."""
    num = len(rows.prompts.slot_N)
    key_BKSD, value_BKSD = (
        torch.cat([rows.prompts.pad(one[:num]).index_select(0, owner_B), rows.rests.pad(one[num:])], dim=2)
        for one in (key_NHD, value_NHD)
    )
    query_BHWD = rows.rests.pad(query_NHD)
    num_rows, heads, width, size = query_BHWD.shape
    key_heads = key_BKSD.shape[1]
    query_BKWD = query_BHWD.reshape(num_rows, key_heads, heads // key_heads * width, size)
    out_BKWD = scaled_dot_product_attention(query_BKWD, key_BKSD, value_BKSD, attn_mask=rows.mask, scale=scaling)
    return rows.rests.unpad(out_BKWD.reshape(num_rows, heads, width, size))


@contextmanager
def _attention(config: Any) -> Iterator[None]:
    """Our attention, for the time of the block."""
    from transformers import AttentionInterface  # loads torch's compiler, which takes seconds: only where it is used

    AttentionInterface.register(NAME, attend)
    before, config._attn_implementation = config._attn_implementation, NAME
    try:
        yield
    finally:
        config._attn_implementation = before
