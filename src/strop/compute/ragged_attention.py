"""Sequences of different lengths as one row of tokens, in which what several of them begin with stands once.

A group of G answers to one prompt of P tokens costs P + (the tokens of its answers) in every matrix multiplication,
forward and backward; as padded rows it would cost G * (P + the longest). What all prompts begin with, such as a chat
template and an instruction, is read once for all of them. Only attention, a few percent of the work, sees padded rows.
The result is the same up to rounding; the gradient of a shared token flows from all that continue it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain

import torch
from torch import Tensor
from torch.nn.functional import pad

from strop.compute.attention import attention
from strop.types import Tokens

LEAST_SAVED = 1 / 8
"""The share of all tokens that must be saved before what all prompts begin with is read apart: it costs an attention of
its own in each layer, and the attention of long rows twice as much."""
Rows = tuple[list[Tokens], list[int]]
"""Sequences, and which one of the level before each continues; none on the first level."""


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
        slots = len(self.start_B) * self.width
        if len(states_SHD) < slots:
            states_SHD = states_SHD.new_zeros(slots, *states_SHD.shape[1:]).index_copy(0, self.slot_S, states_SHD)
        return states_SHD.view(len(self.start_B), self.width, *states_SHD.shape[1:]).transpose(1, 2)

    def unpad(self, states_BHWD: Tensor) -> Tensor:
        """[B, heads, width, D] to [tokens, heads, D]."""
        states_XHD = states_BHWD.transpose(1, 2).flatten(0, 1)
        return states_XHD if len(states_XHD) == len(self.slot_S) else states_XHD.index_select(0, self.slot_S)


@dataclass(frozen=True, slots=True)
class Level:
    """Sequences side by side, each of which continues one of the level before.

    owner_B    the sequence that each continues; None on the first level
    first_B    the position of each one's first token, and `length_B` the number of its tokens
    stands_BS  bool [B, before + width]: which keys are tokens, of all that each continues and then of its own
    mask       bool [B, 1, groups * width, before + width]: the keys that a token attends to; None on the first level,
               where attention is causal
    """

    sequences: Sequences
    owner_B: Tensor | None
    first_B: Tensor
    length_B: Tensor
    stands_BS: Tensor
    mask: Tensor | None

    @classmethod
    def first(cls, length_B: Tensor) -> Level:
        """Sequences that continue nothing."""
        sequences = Sequences.of(length_B)
        stands_BW = torch.arange(sequences.width) < length_B.unsqueeze(1)
        return cls(sequences, None, torch.zeros_like(length_B), length_B, stands_BW, None)

    def then(self, length_B: Tensor, owner_B: Tensor, groups: int) -> Level:
        """Sequences that continue those of this level."""
        own, before_BS = Level.first(length_B), self.stands_BS[owner_B]
        return replace(
            own,
            owner_B=owner_B,
            first_B=(self.first_B + self.length_B)[owner_B],
            stands_BS=torch.cat([before_BS, own.stands_BS], dim=1),
            mask=_mask(before_BS, own.sequences.width, groups),
        )

    @property
    def size(self) -> int:
        """The number of tokens of all sequences."""
        return len(self.sequences.slot_S)

    def positions(self) -> Tensor:
        """The position of each token."""
        row_S, since_S = self.sequences.positions()
        return self.first_B[row_S] + since_S

    def attend(
        self, query: Tensor, own: Sequence[Tensor], before: Sequence[Tensor], scaling: float
    ) -> tuple[Tensor, list[Tensor]]:
        """The output [tokens, heads, D], and the keys and values [B, heads, before + width, D] that it came from;
        `before` are those of the level before."""
        seen = [self.sequences.pad(one) for one in own]
        if self.owner_B is not None:
            owner_B = self.owner_B
            seen = [torch.cat([far.index_select(0, owner_B), near], 2) for far, near in zip(before, seen, strict=True)]
        out_BHWD = attention(self.sequences.pad(query), seen[0], seen[1], self.mask, scaling)
        return self.sequences.unpad(out_BHWD), seen


@dataclass(frozen=True, slots=True)
class RaggedBatch:
    """One row of S tokens, level by level, then padding up to a rounded size.

    levels    what all prompts begin with, if that is worth it; distinct prompts, if rows share one; then the rows
    before_N  which of the tokens predicts each decision
    """

    token_S: Tensor
    position_S: Tensor
    levels: Sequence[Level]
    before_N: Tensor

    @classmethod
    def of(cls, tokens_BT: Tensor, decision_BT: Tensor, groups: int) -> RaggedBatch:
        """Padded rows, each up to its last decision; `groups` query heads share a key head."""
        decides_B = decision_BT.any(dim=1)
        if not bool(decides_B.any()):  # nothing is read, and a pass has a token at least
            return cls._over([([(0,)], [])], groups, *decision_BT.nonzero(as_tuple=True))
        tokens_BT, decision_BT = tokens_BT[decides_B], decision_BT[decides_B]
        first_B = decision_BT.int().argmax(dim=1).tolist()
        last_B = (decision_BT.shape[1] - 1 - decision_BT.flip(1).int().argmax(dim=1)).tolist()
        rows = [tuple(row[:last]) for row, last in zip(tokens_BT.tolist(), last_B, strict=True)]
        given = [row[:first] for row, first in zip(rows, first_B, strict=True)]
        number = {prompt: i for i, prompt in enumerate(dict.fromkeys(given))}
        levels: list[Rows] = [(rows, [])]
        if len(number) < len(given):
            answers = [row[first:] for row, first in zip(rows, first_B, strict=True)]
            levels = [([*number], []), (answers, [number[prompt] for prompt in given])]
        row_N, slot_N = decision_BT.nonzero(as_tuple=True)
        return cls._over(_with_beginning(levels, given), groups, row_N, slot_N - 1)

    @classmethod
    def of_prompts(cls, prompts: Sequence[Tokens], groups: int) -> RaggedBatch:
        """Prompts, each of which predicts what follows it."""
        row_P, end_P = torch.arange(len(prompts)), torch.tensor([len(prompt) - 1 for prompt in prompts])
        return cls._over(_with_beginning([(list(prompts), [])], prompts), groups, row_P, end_P)

    @classmethod
    def _over(cls, rows: Sequence[Rows], groups: int, row_N: Tensor, position_N: Tensor) -> RaggedBatch:
        """`before_N` are the tokens at these positions of these rows of the last level."""
        levels = list[Level]()
        for sequences, owners in rows:
            length_B = torch.tensor([len(one) for one in sequences], dtype=torch.long)
            levels.append(levels[-1].then(length_B, torch.tensor(owners), groups) if levels else Level.first(length_B))
        token_S = torch.tensor([*chain(*(one for sequences, _ in rows for one in sequences))], dtype=torch.long)
        extra = rounded_size(len(token_S)) - len(token_S)
        return cls(
            token_S=pad(token_S, (0, extra)),
            position_S=pad(torch.cat([level.positions() for level in levels]), (0, extra)),
            levels=levels,
            before_N=_tokens_at(levels, row_N, position_N),
        )

    def attend(self, query_1HSD: Tensor, key_1KSD: Tensor, value_1KSD: Tensor, scaling: float) -> Tensor:
        """Attention [1, S, heads * D], separately for every sequence."""
        return self.attend_and_tell(query_1HSD, key_1KSD, value_1KSD, scaling)[0]

    def attend_and_tell(
        self, query_1HSD: Tensor, key_1KSD: Tensor, value_1KSD: Tensor, scaling: float
    ) -> tuple[Tensor, Sequence[Tensor]]:
        """`attend`, and all keys and values [B, heads, width, D] behind which a sequence of the last level goes on."""
        # under autocast rotary embeddings are float32, and attention would round to the values' type by itself
        states = [one[0].transpose(0, 1).to(value_1KSD.dtype) for one in (query_1HSD, key_1KSD, value_1KSD)]
        sizes = [level.size for level in self.levels]
        sizes.append(len(self.token_S) - sum(sizes))
        *parts, padding = zip(*(torch.split(one, sizes) for one in states), strict=True)
        outs, seen = list[Tensor](), list[Tensor]()
        for level, (query, *own) in zip(self.levels, parts, strict=True):
            if level.size:  # a decision of one token has nothing behind its prompt
                out, seen = level.attend(query, own, seen, scaling)
                outs.append(out)
        return torch.cat([*outs, torch.zeros_like(padding[0])]).flatten(1).unsqueeze(0), seen


def _with_beginning(levels: list[Rows], prompts: Sequence[Tokens]) -> list[Rows]:
    """The levels, before them what all prompts begin with, if enough is saved. Each prompt keeps a token of its own."""
    (rows, _), *later = levels
    begun = _common(prompts)
    saved, total = begun * (len(rows) - 1), sum(len(row) for sequences, _ in levels for row in sequences)
    if not saved or saved < LEAST_SAVED * total:
        return levels
    return [([prompts[0][:begun]], []), ([row[begun:] for row in rows], [0] * len(rows)), *later]


def _common(prompts: Sequence[Tokens]) -> int:
    """With how many equal tokens all prompts begin; fewer than the shortest has."""
    if not prompts:
        return 0
    least, most = min(prompts), max(prompts)  # all others stand between them, and begin as both do
    differ = [i for i, (one, other) in enumerate(zip(least, most, strict=False)) if one != other]
    return min([*differ[:1], *(len(prompt) - 1 for prompt in prompts)])


def _mask(before_BS: Tensor, width: int, groups: int) -> Tensor:
    """A token attends to what its sequence continues and to the sequence up to itself; once for each query head of a
    key head."""
    causal_WW = torch.ones(width, width, dtype=torch.bool).tril()  # padding too: no softmax is empty
    num = len(before_BS)
    mask_BWS = torch.cat([before_BS.unsqueeze(1).expand(-1, width, -1), causal_WW.expand(num, -1, -1)], dim=2)
    return mask_BWS.repeat(1, groups, 1).unsqueeze(1)


def _tokens_at(levels: Sequence[Level], row_N: Tensor, position_N: Tensor) -> Tensor:
    """The tokens at positions of the last level's sequences, or at the end of what these continue."""
    last, sizes = levels[-1], [level.size for level in levels]
    since_N = position_N - last.first_B[row_N]
    at_N = sum(sizes[:-1]) + last.sequences.start_B[row_N] + since_N
    if last.owner_B is None:
        return at_N
    end_P = sum(sizes[:-2]) + levels[-2].sequences.start_B + levels[-2].length_B - 1
    return torch.where(since_N < 0, end_P[last.owner_B[row_N]], at_N)
