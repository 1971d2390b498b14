"""Several states look like one, whatever rows come, go and change places; counters are the states here."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from strop.compute.parts import Parts


class Sums:
    """A row is the sum of what it has read; its logits are the sum and the number of rows that share its pass."""

    def __init__(self, sums: Sequence[int]) -> None:
        self.sums = list(sums)

    def __len__(self) -> int:
        return len(self.sums)

    def step(self, tokens_B: Tensor) -> Tensor:
        self.sums = [one + token for one, token in zip(self.sums, tokens_B.tolist(), strict=True)]
        return torch.tensor([[one, len(self)] for one in self.sums])

    def keep(self, rows: Sequence[int]) -> Sums:
        return Sums([self.sums[row] for row in rows])


def test_rows_of_all_parts_go_on_in_their_order() -> None:
    parts = Parts.of([Sums([10, 20]), Sums([30])])
    assert len(parts) == 3
    assert parts.step(torch.tensor([1, 2, 3])).tolist() == [[11, 2], [22, 2], [33, 1]]


@pytest.mark.parametrize("rows", [[0, 1, 2], [2, 1, 0], [1], [2], [1, 1, 2, 0, 1], [0, 0]], ids=str)
def test_rows_are_kept_in_any_order_and_a_part_without_a_row_leaves(rows: list[int]) -> None:
    parts = Parts.of([Sums([10, 20]), Sums([30])]).keep(rows)
    assert len(parts.states) == len({row == 2 for row in rows})
    wanted = [[10, 20, 30][row] + 5 * i for i, row in enumerate(rows)]
    assert parts.step(torch.tensor([5 * i for i in range(len(rows))]))[:, 0].tolist() == wanted
    more = parts.keep([len(rows) - 1, 0])
    assert more.step(torch.zeros(2, dtype=torch.long))[:, 0].tolist() == [wanted[-1], wanted[0]]


def test_parts_that_join_parts_are_taken_apart() -> None:
    parts = Parts.of([Parts.of([Sums([1, 2]), Sums([3])]).keep([2, 1]), Sums([4]), Parts.of([Sums([5, 6])]).keep([1])])
    assert [type(state) for state in parts.states] == [Sums] * 4
    assert parts.step(torch.zeros(4, dtype=torch.long))[:, 0].tolist() == [3, 2, 4, 6]
