"""Keys and values of the tokens that rows have made since their prompts, written in place.

They lie heads first, [K, B, T, D]: what all rows of a prompt and all rows of a head read is then one block of memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from strop.policies.cache import ROOM


@dataclass(slots=True)
class States:
    """Of one layer: the first `length` of the tokens that it has room for. Empty until the first is written."""

    key_KBTD: Tensor = field(default_factory=lambda: torch.empty(0, 0, 0, 0))
    value_KBTD: Tensor = field(default_factory=lambda: torch.empty(0, 0, 0, 0))
    length: int = 0

    def write(self, key_KBD: Tensor, value_KBD: Tensor) -> tuple[Tensor, Tensor]:
        """One more token a row: all keys and values [K, B, length, D], without a copy of the others."""
        if self.length == self.key_KBTD.shape[2]:
            self.key_KBTD = _roomier(self.key_KBTD, key_KBD)
            self.value_KBTD = _roomier(self.value_KBTD, value_KBD)
        self.key_KBTD[:, :, self.length] = key_KBD
        self.value_KBTD[:, :, self.length] = value_KBD
        self.length += 1
        return self.key_KBTD[:, :, : self.length], self.value_KBTD[:, :, : self.length]

    def keep(self, rows: Sequence[int]) -> None:
        """These rows, in this order, in one block again: it is copied once here, and not by every reader."""
        if self.length:
            self.key_KBTD, self.value_KBTD = self.key_KBTD[:, rows], self.value_KBTD[:, rows]


def _roomier(old_KBTD: Tensor, new_KBD: Tensor) -> Tensor:
    heads, rows, width = new_KBD.shape
    length = old_KBTD.shape[2]
    roomy_KBTD = new_KBD.new_empty(heads, rows, length + ROOM, width)
    if length:
        roomy_KBTD[:, :, :length] = old_KBTD
    return roomy_KBTD
