"""Keys and values of the tokens that rows have made since their prompts, written in place.

They lie heads first, [K, B, T, D]: what all rows of a prompt and all rows of a head read is then one block of memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from strop.compute.kv_cache import ROOM


@dataclass(slots=True)
class States:
    """Of one layer: the first `length` of the tokens that it has room for. Empty until the first is written."""

    both_2KBTD: Tensor = field(default_factory=lambda: torch.empty(2, 0, 0, 0, 0))
    length: int = 0

    def write(self, new_2KBD: Tensor) -> tuple[Tensor, Tensor]:
        """Key and value of one more token a row: all keys and all values [K, B, length, D], without a copy of them."""
        if self.length == self.both_2KBTD.shape[3]:
            self.both_2KBTD = _roomier(self.both_2KBTD, new_2KBD)
        self.both_2KBTD[:, :, :, self.length] = new_2KBD
        self.length += 1
        key_KBTD, value_KBTD = self.both_2KBTD[:, :, :, : self.length]
        return key_KBTD, value_KBTD

    def keep(self, rows: Sequence[int]) -> None:
        """These rows, in this order, in one block again: it is copied once here, and not by every reader."""
        if self.length:
            self.both_2KBTD = self.both_2KBTD[:, :, rows]


def _roomier(old_2KBTD: Tensor, new_2KBD: Tensor) -> Tensor:
    two, heads, rows, width = new_2KBD.shape
    length = old_2KBTD.shape[3]
    roomy_2KBTD = new_2KBD.new_empty(two, heads, rows, length + ROOM, width)
    if length:
        roomy_2KBTD[:, :, :, :length] = old_2KBTD
    return roomy_2KBTD
