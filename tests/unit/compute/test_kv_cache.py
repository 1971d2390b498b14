"""The cache that is written in place holds what transformers' own would."""

from __future__ import annotations

import pytest
import torch
from transformers.cache_utils import DynamicLayer

from strop.compute.kv_cache import GROWTH, PreallocatedLayer

HEADS, WIDTH = 2, 3


class Both:
    """The same calls on ours and on theirs."""

    def __init__(self, rows: int, tokens: int) -> None:
        self.ours, self.theirs = PreallocatedLayer(), DynamicLayer()
        self.generator = torch.Generator().manual_seed(0)
        self.write(rows, tokens)

    def write(self, rows: int, tokens: int) -> None:
        key, value = (torch.randn(rows, HEADS, tokens, WIDTH, generator=self.generator) for _ in range(2))
        for ours, theirs in zip(self.ours.update(key, value), self.theirs.update(key, value), strict=True):
            assert torch.equal(ours, theirs)

    def keep(self, rows: list[int]) -> None:
        self.ours.keep(rows)
        self.theirs.batch_select_indices(torch.tensor(rows))
        assert torch.equal(self.ours.keys, self.theirs.keys)
        assert torch.equal(self.ours.values, self.theirs.values)


@pytest.mark.parametrize(
    "rows", [[0, 1, 2, 3], [0, 3, 2], [3], [0, 0, 1, 1, 2], [1, 0], [2, 3], [0, 1], [3, 3]], ids=str
)
def test_rows_are_kept_in_their_order_before_and_after_tokens(rows):
    both = Both(rows=4, tokens=5)
    both.keep([0, 1, 2, 3])
    both.write(rows=4, tokens=1)
    both.keep(rows)
    both.write(rows=len(rows), tokens=1)
    both.keep(list(range(len(rows))))
    both.write(rows=len(rows), tokens=1)


def test_it_grows_past_its_capacity():
    both = Both(rows=2, tokens=3)
    for _ in range(2 * GROWTH + 5):
        both.write(rows=2, tokens=1)


def test_a_token_is_written_without_moving_the_others():
    both = Both(rows=2, tokens=3)
    both.write(rows=2, tokens=1)
    place = both.ours.keys.data_ptr()
    both.write(rows=2, tokens=1)
    both.keep([1])
    assert both.ours.keys.data_ptr() == place


def test_the_prompt_is_not_written_over_by_the_rows_that_share_it():
    key = torch.randn(1, HEADS, 4, WIDTH)
    layer, before = PreallocatedLayer(), key.clone()
    layer.update(key, key)
    layer.keep([0, 0, 0])
    layer.update(torch.zeros(3, HEADS, 1, WIDTH), torch.zeros(3, HEADS, 1, WIDTH))
    assert torch.equal(key, before)


def test_keys_are_kept_as_every_attention_reads_them():
    """Under autocast keys come in float32 and values in bfloat16."""
    layer, other = PreallocatedLayer(), DynamicLayer()
    torch.manual_seed(0)
    for tokens in (4, 1):
        key, value = torch.randn(2, HEADS, tokens, WIDTH), torch.randn(2, HEADS, tokens, WIDTH).bfloat16()
        keys, values = layer.update(key, value)
        their_keys, their_values = other.update(key, value)
        assert keys.dtype == values.dtype == torch.bfloat16
        assert torch.equal(keys, their_keys.bfloat16())
        assert torch.equal(values, their_values)


def test_rows_of_other_layers_end_side_by_side():
    generator = torch.Generator().manual_seed(0)
    layers, plain = [PreallocatedLayer() for _ in range(3)], []
    for layer, rows, tokens in zip(layers, (2, 1, 3), (5, 2, 3), strict=True):
        plain.append(torch.randn(2, rows, HEADS, tokens, WIDTH, generator=generator))
        layer.update(*plain[-1])
    layers[0].take_in(layers[1:], used=[4, 2, 3])
    new = torch.randn(2, 6, HEADS, 1, WIDTH, generator=generator)
    found = torch.stack(layers[0].update(*new))
    assert found.shape == (2, 6, HEADS, 5, WIDTH)
    assert torch.equal(found[:, :, :, 4:], new)
    assert torch.equal(found[:, :2, :, :4], plain[0][:, :, :, 1:])
    assert torch.equal(found[:, 2:3, :, 2:4], plain[1])
    assert torch.equal(found[:, 3:, :, 1:4], plain[2])
    assert not found[:, 2:3, :, :2].any()
    assert not found[:, 3:, :, :1].any()
