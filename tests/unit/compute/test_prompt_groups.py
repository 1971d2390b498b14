"""Rows stand with their prompt, and come back in their order."""

from __future__ import annotations

import torch

from strop.compute.prompt_groups import PromptGroups


def test_grouping_and_ungrouping_are_inverse() -> None:
    for prompt_B, prompts in ([0, 0, 1, 1], 2), ([1, 0, 1], 2), ([2, 0, 1, 0], 3), ([0], 1):
        groups = PromptGroups.of(prompt_B, prompts)
        rows_KBRX = torch.arange(len(prompt_B) * 2 * 3 * 5).view(2, len(prompt_B), 3, 5)
        places = groups.group(rows_KBRX)
        assert places.shape == (2 * prompts, groups.group_size * 3, 5)
        assert torch.equal(groups.ungroup(places, 2), rows_KBRX)
        for row, owner in enumerate(prompt_B):  # each row stands with its prompt, whole
            mine = places.view(2, prompts, groups.group_size, 3, 5)[:, owner]
            assert any(torch.equal(mine[:, g], rows_KBRX[:, row]) for g in range(groups.group_size))


def test_rows_in_order_are_read_as_they_stand() -> None:
    groups = PromptGroups.of([0, 0, 1, 1], 2)
    rows_KBRX = torch.arange(2 * 4 * 3 * 5).view(2, 4, 3, 5)
    assert groups.group(rows_KBRX).data_ptr() == rows_KBRX.data_ptr()
    assert groups.group(rows_KBRX[..., :3]).data_ptr() == rows_KBRX.data_ptr()
