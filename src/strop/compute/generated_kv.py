"""Keys and values of the tokens generated after the prompts, written in place.

They are stored heads first, [K, B, T, D]: what all rows of a head read is then one block of memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from strop.compute.kv_cache import GROWTH


@dataclass(slots=True)
class GeneratedKV:
    """The keys and values of one layer: the first `length` tokens of a larger buffer, which is empty at the start."""

    buffer_2KBTD: Tensor = field(default_factory=lambda: torch.empty(2, 0, 0, 0, 0))
    length: int = 0

    def write(self, new_2KBD: Tensor) -> tuple[Tensor, Tensor]:
        """Add key and value of one token for each row; returns all keys and values [K, B, length, D] as views."""
        if self.length == self.buffer_2KBTD.shape[3]:
            self.buffer_2KBTD = _enlarged(self.buffer_2KBTD, new_2KBD)
        self.buffer_2KBTD[:, :, :, self.length] = new_2KBD
        self.length += 1
        key_KBTD, value_KBTD = self.buffer_2KBTD[:, :, :, : self.length]
        return key_KBTD, value_KBTD

    def keep(self, rows: Sequence[int]) -> None:
        """Keep these rows, in this order, copied into one block once, so that later reads need no copy."""
        if self.length:
            self.buffer_2KBTD = self.buffer_2KBTD[:, :, rows]

    @classmethod
    def join(cls, parts: Sequence[GeneratedKV], sizes: Sequence[int], cuts: Sequence[int]) -> GeneratedKV:
        """All rows, ending side by side: each part has so many rows, loses its first `cuts` tokens, and stands behind
        zeros where another is longer."""
        length = max(part.length - cut for part, cut in zip(parts, cuts, strict=True))
        if not length:
            return cls()
        two, heads, _, _, width = next(part.buffer_2KBTD for part in parts if part.length).shape
        joined, first = cls(torch.zeros(two, heads, sum(sizes), length + GROWTH, width), length), 0
        for part, size, cut in zip(parts, sizes, cuts, strict=True):
            if part.length > cut:
                behind = length - (part.length - cut)
                own_2KBTD = part.buffer_2KBTD[:, :, :, cut : part.length]
                joined.buffer_2KBTD[:, :, first : first + size, behind:length] = own_2KBTD
            first += size
        return joined


def _enlarged(old_2KBTD: Tensor, new_2KBD: Tensor) -> Tensor:
    two, heads, rows, width = new_2KBD.shape
    length = old_2KBTD.shape[3]
    larger_2KBTD = new_2KBD.new_empty(two, heads, rows, length + GROWTH, width)
    if length:
        larger_2KBTD[:, :, :, :length] = old_2KBTD
    return larger_2KBTD
