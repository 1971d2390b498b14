"""Texts with hidden tokens, which a masked encoder fills in: how they are made of segments, cut, and read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Protocol, TypeAlias, runtime_checkable

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from strop.functional.distributions import PLAIN, gather, logprobs_of
from strop.functional.masking import choose, corrupt
from strop.policies._texts import Marks
from strop.types import Heads, Reduce

Segment: TypeAlias = "tuple[Sequence[int], Sequence[float]]"
"""Tokens, and what each of them weighs in a loss if it is hidden; of weight 0 it is never hidden."""


@runtime_checkable
class Fills(Protocol):
    """A policy that fills in hidden tokens, unless it has a head for something else: then not `fills`.

    Its vectors have `width` numbers, and it reads texts of `context` tokens without their special ones.
    """

    marks: Marks
    fills: bool
    width: int
    context: int | None

    def encode(self, tokens_BT: Tensor, length_B: Tensor, type_BT: Tensor) -> Tensor:
        """The vectors [B, T, H] of whole texts of these lengths, padded on the right; types say the segment."""

    def words(self, vectors_NH: Tensor, tokens_N: Tensor, reduce: Reduce) -> dict[str, Tensor]:
        """Call `reduce` on chunks of the logits at these vectors; its results [N]. `tokens_N` is what stood there."""


@dataclass(frozen=True, slots=True)
class Blanks:
    """B texts as an encoder reads them, `[CLS] A [SEP]` or `[CLS] A [SEP] B [SEP]`, of T tokens with padding.

    token_BT   int64; what stands there; 0 in the padding
    type_BT    int64; 0 in the first segment, 1 in the second
    weight_BT  float64; what a token weighs in a loss; 0 for special tokens, padding, and what is not to be hidden
    length_B   int64; how many tokens are text
    read_BT    int64; the tokens with hidden ones
    hidden_BT  bool; which are to be filled in
    """

    token_BT: Tensor
    type_BT: Tensor
    weight_BT: Tensor
    length_B: Tensor
    read_BT: Tensor
    hidden_BT: Tensor

    @classmethod
    def of(cls, texts: Sequence[Sequence[Segment]], marks: Marks) -> Blanks:
        """Texts of one or two segments each, of which nothing is hidden yet."""
        columns = zip(*(_row(text, marks) for text in texts), strict=True)
        token_BT, weight_BT, type_BT = (pad_sequence(list(column), batch_first=True) for column in columns)
        length_B = torch.tensor([1 + sum(len(tokens) + 1 for tokens, _ in text) for text in texts])
        return cls(token_BT, type_BT, weight_BT, length_B, token_BT, torch.zeros_like(token_BT, dtype=torch.bool))

    def hide(
        self, marks: Marks, rng: np.random.Generator, share: float, masked: float = 1.0, random: float = 0.0
    ) -> Blanks:
        """The same texts with so many of their tokens hidden (`functional.masking`)."""
        hidden_BT = choose(self.weight_BT > 0, share, rng)
        ordinary_V = np.setdiff1d(np.arange(marks.size), [*marks.special])
        read_BT = corrupt(self.token_BT, hidden_BT, marks.mask, ordinary_V, rng, masked, random)
        return replace(self, read_BT=read_BT, hidden_BT=hidden_BT)

    def split(self, budget: int) -> Iterator[tuple[Blanks, Tensor]]:
        """Micro-batches of at most so many padded tokens, the longest texts first, and which rows [b] each holds. A
        text that is longer goes alone."""
        order = self.length_B.argsort(descending=True, stable=True)
        while len(order):
            width = int(self.length_B[order[0]])
            rows, order = order.tensor_split([max(budget // width, 1)])
            yield self._rows(rows, width), rows

    def _rows(self, rows: Tensor, width: int) -> Blanks:
        columns = ((one.name, getattr(self, one.name)) for one in fields(self))
        return Blanks(**{name: column[rows, :width] if column.dim() > 1 else column[rows] for name, column in columns})


def bare(tokens: Sequence[int], weights: Sequence[float], marks: Marks) -> Segment:
    """The segment without the special tokens that begin and end a text, which `Blanks` puts around it."""
    first = 1 if len(tokens) and tokens[0] == marks.begin else 0
    last = len(tokens) - (1 if len(tokens) > first and tokens[-1] == marks.separator else 0)
    return tokens[first:last], weights[first:last]


def fill(policy: Fills, blanks: Blanks) -> tuple[Tensor, Tensor, Tensor]:
    """The log-probs [N] of what stood at the hidden places, in row order, and the likeliest token [N] there; and the
    first vector [B, H] of each text. Log-probs and vectors are differentiable, on the policy's device."""
    vectors_BTH = policy.encode(blanks.read_BT, blanks.length_B, blanks.type_BT)
    found = policy.words(vectors_BTH[blanks.hidden_BT], blanks.token_BT[blanks.hidden_BT], _read)
    return found["logprobs"], found["likeliest"], vectors_BTH[:, 0]


def _read(heads: Heads) -> dict[str, Tensor]:
    assert heads.logits_NV is not None
    logprobs_N = gather(logprobs_of(heads.logits_NV, PLAIN), heads.tokens_N)
    return {"logprobs": logprobs_N, "likeliest": heads.logits_NV.argmax(dim=-1)}


def _row(text: Sequence[Segment], marks: Marks) -> tuple[Tensor, Tensor, Tensor]:
    """Tokens, weights and types of one text."""
    row, weigh, types = [marks.begin], [0.0], [0]
    for number, (tokens, weights) in enumerate(text):
        row += [*tokens, marks.separator]
        weigh += [0.0 if token in marks.special else w for token, w in zip(tokens, weights, strict=True)] + [0.0]
        types += [number] * (len(tokens) + 1)
    return torch.tensor(row), torch.tensor(weigh, dtype=torch.float64), torch.tensor(types)
