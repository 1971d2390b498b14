"""Rows grouped by the prompt that they continue, so that attention reads a prompt once for all its rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class PromptGroups:
    """`num_prompts` groups of `group_size` slots, and which slot each of B rows has.

    row_S   the row in each slot; where a prompt has fewer rows than slots, any row
    slot_B  each row's slot
    Both are None if the rows already are in the order of the slots. Every prompt has as many slots as the one with the
    most rows, so uneven groups cost more.
    """

    num_prompts: int
    group_size: int
    row_S: Tensor | None = None
    slot_B: Tensor | None = None

    @classmethod
    def of(cls, prompt_B: Sequence[int], num_prompts: int) -> PromptGroups:
        """Group rows by the prompt of each."""
        groups: list[list[int]] = [[] for _ in range(num_prompts)]
        for row, prompt in enumerate(prompt_B):
            groups[prompt].append(row)
        size = max(map(len, groups))
        if [row for group in groups for row in group] == list(range(num_prompts * size)):
            return cls(num_prompts, size)
        slot_B = [0] * len(prompt_B)
        for prompt, group in enumerate(groups):
            for i, row in enumerate(group):
                slot_B[row] = prompt * size + i
        row_S = [row for group in groups for row in group + [0] * (size - len(group))]
        return cls(num_prompts, size, torch.tensor(row_S), torch.tensor(slot_B))

    def group(self, rows_KBRX: Tensor) -> Tensor:
        """From values by row [K, B, R, X] to values by group [K * P, G * R, X]; no copy if rows are in order."""
        slots = rows_KBRX if self.row_S is None else rows_KBRX.index_select(1, self.row_S)
        heads, _, repeats, width = slots.shape
        return slots.view(heads * self.num_prompts, self.group_size * repeats, width)

    def ungroup(self, groups: Tensor, heads: int) -> Tensor:
        """From values by group [K * P, G * R, X] to values by row [K, B, R, X]."""
        slots_KSRX = groups.view(heads, self.num_prompts * self.group_size, -1, groups.shape[2])
        return slots_KSRX if self.slot_B is None else slots_KSRX.index_select(1, self.slot_B)
