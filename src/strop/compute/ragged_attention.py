"""Sequences of different lengths read as one row of tokens, each prompt once: the learner's forward pass.

A group of G answers to one prompt of P tokens costs P + (the tokens of its answers) in every product of matrices, in
the forward and in the backward pass; as padded rows it would cost G * (P + the longest). Only attention, a few percent
of the work, sees padded rows. The result is the same up to rounding; the gradient of a prompt flows from every answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from strop.compute.attention import attention

NAME = "strop_ragged"
"""What transformers calls our attention."""
PLAIN = frozenset({"llama", "mistral", "qwen2", "qwen3", "smollm3", "olmo2", "phi3", "granite"})
"""Kinds of models that are read in one row; tests compare each with its padded reading."""


def hidden_at_decisions(backbone: Any, tokens_BT: Tensor, decision_BT: Tensor) -> Tensor:
    """The last hidden state [N, H] before each decision, in row order: slot t is predicted at t - 1."""
    config = backbone.config
    if not reads_one_row(config, tokens_BT.shape[1]):
        hidden_BTH: Tensor = backbone(input_ids=tokens_BT, use_cache=False).last_hidden_state
        return hidden_BTH[:, :-1][decision_BT[:, 1:]]
    groups = config.num_attention_heads // getattr(config, "num_key_value_heads", config.num_attention_heads)
    row = Row.of(tokens_BT, decision_BT, groups)
    with _ours(config):
        read = backbone(
            input_ids=row.token_S.unsqueeze(0), position_ids=row.position_S.unsqueeze(0), use_cache=False, row=row
        )
    hidden_NH: Tensor = read.last_hidden_state[0, row.before_N]
    return hidden_NH


def reads_one_row(config: Any, width: int) -> bool:
    """Whether this kind of model hands its attention to transformers' interface, and wants nothing but plain attention
    over so many tokens."""
    limit = window(config)
    is_cut = limit is not None and width > limit
    return config.model_type in PLAIN and config._attn_implementation == "sdpa" and not is_cut


def window(config: Any) -> int | None:
    """How many tokens a layer looks back over; None where it sees all of them."""
    limit: int | None = getattr(config, "sliding_window", None)
    return limit if getattr(config, "use_sliding_window", True) else None


def round_number(num: int) -> int:
    """The next of the numbers that have 16 steps from each power of two to the next.

    oneDNN makes a program for each size of a product, and keeps it: half a megabyte. Rounded up, sizes come back.
    """
    step = 1 << max(0, num.bit_length() - 5)
    return -(-num // step) * step


@dataclass(frozen=True, slots=True)
class Block:
    """Sequences that stand one behind the other.

    slot_S   where each token stands in padded rows [B, width], as a flat index
    start_B  where each sequence begins among the tokens
    """

    slot_S: Tensor
    start_B: Tensor
    width: int

    @classmethod
    def of(cls, length_B: Tensor) -> Block:
        """Of sequences of these lengths."""
        width = int(length_B.max()) if len(length_B) else 0
        stands_BW = torch.arange(width) < length_B.unsqueeze(1)
        return cls(stands_BW.flatten().nonzero().flatten(), length_B.cumsum(0) - length_B, width)

    def where(self) -> tuple[Tensor, Tensor]:
        """Each token's sequence, and its place in that."""
        width = max(self.width, 1)
        return self.slot_S // width, self.slot_S % width

    def pad(self, states_SHD: Tensor) -> Tensor:
        """[tokens, heads, D] to [B, heads, width, D], 0 behind each sequence."""
        _, heads, size = states_SHD.shape
        num = len(self.start_B)
        padded = states_SHD.new_zeros(num * self.width, heads, size).index_copy(0, self.slot_S, states_SHD)
        return padded.view(num, self.width, heads, size).transpose(1, 2)

    def unpad(self, states_BHWD: Tensor) -> Tensor:
        """[B, heads, width, D] to [tokens, heads, D]."""
        return states_BHWD.transpose(1, 2).flatten(0, 1).index_select(0, self.slot_S)


@dataclass(frozen=True, slots=True)
class Row:
    """One row of S tokens: distinct prompts, then the rest of every sequence, each as far as it is read; then tokens
    that nobody reads, up to a round number.

    owner_B   which prompt each rest continues; None where every sequence is its own, and no prompt stands apart
    mask      bool [B, 1, groups * rest, prompt + rest]: which keys a token of a rest sees; None without prompts
    before_N  which of the tokens predicts each decision
    """

    token_S: Tensor
    position_S: Tensor
    prompts: Block
    rests: Block
    owner_B: Tensor | None
    mask: Tensor | None
    before_N: Tensor

    @classmethod
    def of(cls, tokens_BT: Tensor, decision_BT: Tensor, groups: int) -> Row:
        """`groups` query heads share a key head."""
        decides_B = decision_BT.any(dim=1)
        first_B = torch.where(decides_B, decision_BT.int().argmax(dim=1), 1)
        last_B = torch.where(decides_B, decision_BT.shape[1] - 1 - decision_BT.flip(1).int().argmax(dim=1), 1)
        given = [tuple(row[:first]) for row, first in zip(tokens_BT.tolist(), first_B.tolist(), strict=True)]
        distinct = list(dict.fromkeys(given))
        owner_B = None
        if len(distinct) < len(given):
            owner_B = torch.tensor([distinct.index(prompt) for prompt in given])
        else:
            distinct, first_B = [], torch.zeros_like(first_B)
        length_P = torch.tensor([len(prompt) for prompt in distinct], dtype=torch.long)
        prompts, rests = Block.of(length_P), Block.of(last_B - first_B)
        of_rest, since = rests.where()
        position = first_B[of_rest] + since
        flat = torch.tensor([token for prompt in distinct for token in prompt], dtype=torch.long)
        # a decision is predicted one token earlier: in its own rest, or at the end of its prompt
        of_N, slot_N = decision_BT.nonzero(as_tuple=True)
        before_N = len(flat) + rests.start_B[of_N] + slot_N - 1 - first_B[of_N]
        if owner_B is not None:
            end_P = prompts.start_B + length_P - 1
            before_N = torch.where(slot_N == first_B[of_N], end_P[owner_B[of_N]], before_N)
        token_S = torch.cat([flat, tokens_BT[of_rest, position]])
        extra = round_number(len(token_S)) - len(token_S)
        return cls(
            token_S=pad(token_S, (0, extra)),
            position_S=pad(torch.cat([prompts.where()[1], position]), (0, extra)),
            prompts=prompts,
            rests=rests,
            owner_B=owner_B,
            mask=None if owner_B is None else _mask(prompts.width, rests.width, first_B, groups),
            before_N=before_N,
        )


def _mask(prompt: int, rest: int, first_B: Tensor, groups: int) -> Tensor:
    """A token of a rest sees its prompt, and its rest up to itself; as often as query heads share a key head."""
    rest_WW = torch.ones(rest, rest, dtype=torch.bool).tril()  # padding too: no softmax is empty
    prompt_B1P = torch.arange(prompt) < first_B[:, None, None]
    mask_BWS = torch.cat([prompt_B1P.expand(-1, rest, -1), rest_WW.expand(len(first_B), -1, -1)], dim=2)
    return mask_BWS.repeat(1, groups, 1).unsqueeze(1)


def attend(
    module: Any, query: Tensor, key: Tensor, value: Tensor, attention_mask: None, *, row: Row, scaling: float, **_: Any
) -> tuple[Tensor, None]:
    """transformers' interface: [1, heads, S, D] to [1, S, heads, D], every sequence for itself."""
    # under autocast positions are turned in float32, and attention would round to the values' type by itself
    states = [one[0].transpose(0, 1).to(value.dtype) for one in (query, key, value)]
    sizes = [len(row.prompts.slot_S), len(row.rests.slot_S)]
    sizes.append(len(row.token_S) - sum(sizes))
    prompts, rests, unread = zip(*(torch.split(one, sizes) for one in states), strict=True)
    if row.owner_B is None:
        outs = [_whole(row.rests, rests, scaling)]
    else:
        outs = [_whole(row.prompts, prompts, scaling), _continued(row, row.owner_B, prompts, rests, scaling)]
    return torch.cat([*outs, torch.zeros_like(unread[0])]).unsqueeze(0), None


def _whole(block: Block, states: Sequence[Tensor], scaling: float) -> Tensor:
    """Sequences from their beginning: of queries, keys and values [tokens, heads, D] what is read."""
    query, key, value = map(block.pad, states)
    return block.unpad(attention(query, key, value, None, scaling))


def _continued(row: Row, owner_B: Tensor, prompts: Sequence[Tensor], rests: Sequence[Tensor], scaling: float) -> Tensor:
    """Rests behind their prompts."""
    key_BKSD, value_BKSD = (
        torch.cat([row.prompts.pad(prompt).index_select(0, owner_B), row.rests.pad(rest)], dim=2)
        for prompt, rest in zip(prompts[1:], rests[1:], strict=True)
    )
    return row.rests.unpad(attention(row.rests.pad(rests[0]), key_BKSD, value_BKSD, row.mask, scaling))


@contextmanager
def _ours(config: Any) -> Iterator[None]:
    """Our attention, for the time of the block."""
    from transformers import AttentionInterface  # loads torch's compiler, which takes seconds: only where it is used

    AttentionInterface.register(NAME, attend)
    before, config._attn_implementation = config._attn_implementation, NAME
    try:
        yield
    finally:
        config._attn_implementation = before
