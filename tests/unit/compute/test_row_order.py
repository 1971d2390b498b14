"""Rows that are kept move as little as they can."""

from __future__ import annotations

import pytest

from strop.compute.row_order import compact_order


@pytest.mark.parametrize(
    ("kept", "order"), [([0, 1, 2], [0, 1, 2]), ([1, 3, 4], [3, 1, 4]), ([4], [4]), ([0, 2, 3], [0, 3, 2]), ([], [])]
)
def test_gaps_are_closed_from_behind(kept: list[int], order: list[int]) -> None:
    # 1 3 4: places 0 and 2 are free and 3, 4 stand behind
    assert compact_order(kept) == order
