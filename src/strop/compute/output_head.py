"""Logits and values of hidden states, computed and reduced in chunks.

The logits of a whole batch would be its largest tensor by far. Each chunk of them is computed, reduced and freed, and
computed again in the backward pass, except the last, with which that pass begins.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import pad
from torch.utils.checkpoint import checkpoint

from strop.compute.ragged_attention import rounded_size
from strop.types import Heads, Reduce, Want

CHUNK_BYTES = 192 * 2**20
"""The largest chunk of logits, in float32: a thousand rows of 49152 tokens. A smaller batch is one chunk, whose logits
are computed once."""
BLOCK_BYTES = 4 * 2**20
"""The largest block of logits that is reduced at once, so that intermediate results stay in the CPU's cache."""


@dataclass(frozen=True, slots=True)
class ChunkedHeads:
    """`head` computes the logits, `value_head` the values; `reduce` turns those that are wanted into the results."""

    head: Callable[[Tensor], Tensor]
    value_head: nn.Linear | None
    vocabulary: int
    want: frozenset[Want]
    reduce: Reduce

    def apply(self, hidden_NH: Tensor, tokens_N: Tensor) -> dict[str, Tensor]:
        """The results for every decision, in order; the largest tensor is one chunk's [n, V]."""
        parts: list[Mapping[str, Tensor]] = []
        num = len(tokens_N)
        chunk = equal_chunks(num, self._rows(CHUNK_BYTES))
        for first in range(0, max(num, 1), chunk):
            hidden_nH, tokens_n = hidden_NH[first : first + chunk], tokens_N[first : first + chunk]
            if hidden_nH.requires_grad and first + chunk < num:
                parts.append(
                    checkpoint(self._chunk, hidden_nH, tokens_n, first, use_reentrant=False, preserve_rng_state=False)
                )
            else:
                parts.append(self._chunk(hidden_nH, tokens_n, first))
        return _concatenated(parts)

    def _chunk(self, hidden_nH: Tensor, tokens_n: Tensor, first: int) -> Mapping[str, Tensor]:
        """One multiplication by the head, padded to a rounded number of rows; then reduce block by block."""
        blocks = torch.split(tokens_n, self._rows(BLOCK_BYTES))
        logits: Sequence[Tensor | None] = [None] * len(blocks)
        value: Sequence[Tensor | None] = logits
        if "logits" in self.want or "q" in self.want:
            extra = rounded_size(len(hidden_nH)) - len(hidden_nH)
            logits = _in_blocks(self.head(pad(hidden_nH, (0, 0, 0, extra))), blocks)
        if self.value_head is not None and "value" in self.want:
            value = _in_blocks(self.value_head(hidden_nH.to(self.value_head.weight.dtype)).squeeze(-1), blocks)
        parts: list[Mapping[str, Tensor]] = []
        for at, tokens_b in enumerate(blocks):
            logits_bV, q_bV = (logits[at] if name in self.want else None for name in ("logits", "q"))
            parts.append(self.reduce(Heads(tokens_b, first, logits_NV=logits_bV, value_N=value[at], q_NV=q_bV)))
            first += len(tokens_b)
        return _concatenated(parts)

    def _rows(self, size: int) -> int:
        """How many rows of logits fit into so many bytes."""
        return max(1, size // (4 * self.vocabulary))


def equal_chunks(num: int, most: int) -> int:
    """The size of nearly equal chunks: a rounded number of rows, at most `most`."""
    return max(1, min(most, rounded_size(math.ceil(num / max(1, math.ceil(num / most))))))


def _in_blocks(rows: Tensor, blocks: Sequence[Tensor]) -> Sequence[Tensor]:
    """Rows split like the blocks, without the padding. Their gradients come back in one tensor."""
    sizes = [len(block) for block in blocks]
    return torch.split(rows, [*sizes, len(rows) - sum(sizes)])[: len(sizes)]


def _concatenated(parts: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """The parts' results, concatenated by name."""
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
