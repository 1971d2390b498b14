"""The forward pass of training: sequences of different lengths as one row of tokens, each prompt once.

A group of G answers to one prompt of P tokens costs P + (the tokens of its answers) in every matrix multiplication,
forward and backward; as padded rows it would cost G * (P + the longest). Only attention, a few percent
of the work, sees padded rows. The result is the same up to rounding; the gradient of a prompt flows from every answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad

from strop.compute.attention import attention


def rounded_size(num: int) -> int:
    """`num` rounded up to one of 16 sizes between two powers of two.

    oneDNN compiles a kernel for each size of a multiplication and keeps it, half a megabyte. Rounding up leaves few
    sizes.
    """
    step = 1 << max(0, num.bit_length() - 5)
    return -(-num // step) * step


@dataclass(frozen=True, slots=True)
class Sequences:
    """Sequences of different lengths, concatenated.

    slot_S   the flat index of each token in padded rows [B, width]
    start_B  the index of each sequence's first token
    """

    slot_S: Tensor
    start_B: Tensor
    width: int

    @classmethod
    def of(cls, length_B: Tensor) -> Sequences:
        """Sequences of these lengths."""
        width = int(length_B.max()) if len(length_B) else 0
        stands_BW = torch.arange(width) < length_B.unsqueeze(1)
        return cls(stands_BW.flatten().nonzero().flatten(), length_B.cumsum(0) - length_B, width)

    def positions(self) -> tuple[Tensor, Tensor]:
        """The sequence of each token, and its position in it."""
        width = max(self.width, 1)
        return self.slot_S // width, self.slot_S % width

    def pad(self, states_SHD: Tensor) -> Tensor:
        """[tokens, heads, D] to [B, heads, width, D], 0 after each sequence."""
        _, heads, size = states_SHD.shape
        num = len(self.start_B)
        padded = states_SHD.new_zeros(num * self.width, heads, size).index_copy(0, self.slot_S, states_SHD)
        return padded.view(num, self.width, heads, size).transpose(1, 2)

    def unpad(self, states_BHWD: Tensor) -> Tensor:
        """[B, heads, width, D] to [tokens, heads, D]."""
        return states_BHWD.transpose(1, 2).flatten(0, 1).index_select(0, self.slot_S)


@dataclass(frozen=True, slots=True)
class RaggedBatch:
    """One row of S tokens: distinct prompts, then the continuation of every row up to its last decision, then padding
    up to a rounded size.

    prompt_B  which prompt each row continues; None if no two rows share one: then continuations are whole rows
    mask      bool [B, 1, groups * continuation, prompt + continuation]: the keys that a token attends to; None without
              prompts
    before_N  which of the tokens predicts each decision
    """

    token_S: Tensor
    position_S: Tensor
    prompts: Sequences
    continuations: Sequences
    prompt_B: Tensor | None
    mask: Tensor | None
    before_N: Tensor

    @classmethod
    def of(cls, tokens_BT: Tensor, decision_BT: Tensor, groups: int) -> RaggedBatch:
        """Convert padded rows; `groups` query heads share a key head."""
        decides_B = decision_BT.any(dim=1)
        first_B = torch.where(decides_B, decision_BT.int().argmax(dim=1), 1)
        last_B = torch.where(decides_B, decision_BT.shape[1] - 1 - decision_BT.flip(1).int().argmax(dim=1), 1)
        given = [tuple(row[:first]) for row, first in zip(tokens_BT.tolist(), first_B.tolist(), strict=True)]
        distinct = list(dict.fromkeys(given))
        prompt_B = None
        if len(distinct) < len(given):
            prompt_B = torch.tensor([distinct.index(prompt) for prompt in given])
        else:
            distinct, first_B = [], torch.zeros_like(first_B)
        length_P = torch.tensor([len(prompt) for prompt in distinct], dtype=torch.long)
        prompts, continuations = Sequences.of(length_P), Sequences.of(last_B - first_B)
        row_C, since_C = continuations.positions()
        position_C = first_B[row_C] + since_C
        flat = torch.tensor([token for prompt in distinct for token in prompt], dtype=torch.long)
        # a decision is predicted one token earlier: in its own continuation, or at the end of its prompt
        row_N, slot_N = decision_BT.nonzero(as_tuple=True)
        before_N = len(flat) + continuations.start_B[row_N] + slot_N - 1 - first_B[row_N]
        if prompt_B is not None:
            end_P = prompts.start_B + length_P - 1
            before_N = torch.where(slot_N == first_B[row_N], end_P[prompt_B[row_N]], before_N)
        token_S = torch.cat([flat, tokens_BT[row_C, position_C]])
        extra = rounded_size(len(token_S)) - len(token_S)
        return cls(
            token_S=pad(token_S, (0, extra)),
            position_S=pad(torch.cat([prompts.positions()[1], position_C]), (0, extra)),
            prompts=prompts,
            continuations=continuations,
            prompt_B=prompt_B,
            mask=None if prompt_B is None else _mask(prompts.width, continuations.width, first_B, groups),
            before_N=before_N,
        )

    def attend(self, query_1HSD: Tensor, key_1KSD: Tensor, value_1KSD: Tensor, scaling: float) -> Tensor:
        """Attention [1, S, heads * D], separately for every sequence."""
        # under autocast rotary embeddings are float32, and attention would round to the values' type by itself
        states = [one[0].transpose(0, 1).to(value_1KSD.dtype) for one in (query_1HSD, key_1KSD, value_1KSD)]
        sizes = [len(self.prompts.slot_S), len(self.continuations.slot_S)]
        sizes.append(len(self.token_S) - sum(sizes))
        prompts, continuations, padding = zip(*(torch.split(one, sizes) for one in states), strict=True)
        if self.prompt_B is None:
            outs = [_whole_sequences(self.continuations, continuations, scaling)]
        else:
            outs = [_whole_sequences(self.prompts, prompts, scaling)]
            outs.append(_after_prompts(self, self.prompt_B, prompts, continuations, scaling))
        return torch.cat([*outs, torch.zeros_like(padding[0])]).flatten(1).unsqueeze(0)


def _mask(prompt: int, continuation: int, first_B: Tensor, groups: int) -> Tensor:
    """A token attends to its prompt and to its continuation up to itself; once for each query head of a key head."""
    causal_WW = torch.ones(continuation, continuation, dtype=torch.bool).tril()  # padding too: no softmax is empty
    prompt_B1P = torch.arange(prompt) < first_B[:, None, None]
    mask_BWS = torch.cat([prompt_B1P.expand(-1, continuation, -1), causal_WW.expand(len(first_B), -1, -1)], dim=2)
    return mask_BWS.repeat(1, groups, 1).unsqueeze(1)


def _whole_sequences(sequences: Sequences, states: Sequence[Tensor], scaling: float) -> Tensor:
    """Attention of whole sequences, from queries, keys and values [tokens, heads, D]."""
    query, key, value = map(sequences.pad, states)
    return sequences.unpad(attention(query, key, value, None, scaling))


def _after_prompts(
    ragged: RaggedBatch, prompt_B: Tensor, prompts: Sequence[Tensor], continuations: Sequence[Tensor], scaling: float
) -> Tensor:
    """Attention of continuations, each of which also attends to its prompt."""
    prompt_pad, own_pad = ragged.prompts.pad, ragged.continuations.pad
    key_BKSD, value_BKSD = (
        torch.cat([prompt_pad(prompt).index_select(0, prompt_B), own_pad(own)], dim=2)
        for prompt, own in zip(prompts[1:], continuations[1:], strict=True)
    )
    out = attention(own_pad(continuations[0]), key_BKSD, value_BKSD, ragged.mask, scaling)
    return ragged.continuations.unpad(out)
