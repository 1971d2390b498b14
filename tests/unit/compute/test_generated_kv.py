"""What rows have made since their prompts: the same as a plain list of it, whatever rows come and go."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from strop.compute.generated_kv import GeneratedKV
from strop.compute.kv_cache import GROWTH

HEADS, WIDTH = 2, 3


class Both:
    """The same calls on ours, and on a tensor that is made anew each time."""

    def __init__(self, rows: int) -> None:
        self.ours, self.rows = GeneratedKV(), rows
        self.plain = [torch.zeros(HEADS, rows, 0, WIDTH) for _ in range(2)]
        self.dice = torch.Generator().manual_seed(0)

    def write(self) -> tuple[Tensor, Tensor]:
        new = [torch.randn(HEADS, self.rows, WIDTH, generator=self.dice) for _ in range(2)]
        self.plain = [torch.cat([old, one.unsqueeze(2)], dim=2) for old, one in zip(self.plain, new, strict=True)]
        found = self.ours.write(torch.stack(new))
        for ours, plain in zip(found, self.plain, strict=True):
            assert torch.equal(ours, plain)
        return found

    def keep(self, rows: list[int]) -> None:
        self.plain = [old[:, rows].clone() for old in self.plain]
        self.rows = len(rows)
        self.ours.keep(rows)


@pytest.mark.parametrize(
    "rows", [[0, 1, 2, 3], [0, 3, 2], [3], [0, 0, 1, 1, 2], [1, 0], [2, 3], [0, 1], [3, 3]], ids=str
)
def test_rows_are_kept_in_their_order_before_and_after_tokens(rows: list[int]) -> None:
    both = Both(4)
    both.keep([0, 1, 2, 3])
    both.write()
    both.write()
    both.keep(rows)
    both.write()
    both.keep(list(range(len(rows))))
    both.write()


def test_it_grows_past_its_capacity() -> None:
    both = Both(2)
    for _ in range(2 * GROWTH + 5):
        both.write()
    both.keep([1])
    both.write()


@pytest.mark.parametrize("rows", [[0, 1, 2], [0, 2], [2, 2, 0, 1]], ids=str)
def test_a_token_is_written_without_moving_the_others_and_all_are_read_as_they_stand(rows: list[int]) -> None:
    both = Both(3)
    place = both.write()[0].data_ptr()
    assert both.write()[0].data_ptr() == place
    both.keep(rows)
    for states in both.write():
        assert states.flatten(0, 1).data_ptr() == states.data_ptr()


def test_parts_that_join_end_side_by_side_without_what_no_row_has() -> None:
    dice = torch.Generator().manual_seed(0)
    sizes, lengths, cuts = [2, 1, 3], [5, 0, 3], [1, 0, 1]
    parts, plain = [GeneratedKV() for _ in sizes], list[Tensor]()
    for part, size, length in zip(parts, sizes, lengths, strict=True):
        plain.append(torch.randn(2, HEADS, size, length, WIDTH, generator=dice))
        for t in range(length):
            part.write(plain[-1][:, :, :, t])
    joined = GeneratedKV.join(parts, sizes, cuts)
    assert joined.length == 4
    new = torch.randn(2, HEADS, 6, WIDTH, generator=dice)
    found = torch.stack(joined.write(new))
    assert torch.equal(found[:, :, :, 4], new)
    assert torch.equal(found[:, :, :2, :4], plain[0][:, :, :, 1:])
    assert not found[:, :, 2, :4].any()
    assert torch.equal(found[:, :, 3:, 2:4], plain[2][:, :, :, 1:])
    assert not found[:, :, 3:, :2].any()
    both = GeneratedKV.join([GeneratedKV(), GeneratedKV()], [1, 1], [0, 0])
    assert torch.equal(torch.stack(both.write(new[:, :, :2])), new[:, :, :2].unsqueeze(3))
