"""A key-value cache that is written in place.

transformers' own cache concatenates old and new tensors at every token: with 32 rows of SmolLM2 after 100 tokens that
copies 300 MB a token into new memory. Here each layer has space for later tokens, and when rows leave, only as many
others move, into their places (`row_order.compact_order`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import Cache, DynamicCache, DynamicLayer

GROWTH = 64
"""A layer grows by so many tokens at once, so that it is copied seldom."""


class PreallocatedLayer(DynamicLayer):  # type: ignore[misc]  # transformers has no types
    """One layer's keys and values [B, heads, T, width], as views of larger buffers."""

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """Append new tokens; returns all keys and values, without a copy.

        Keys are stored in the values' type. Under autocast they arrive in float32, from the rotary embedding, and
        attention would round all of them at every token; here they are rounded once.
        """
        key_states = key_states.to(value_states.dtype)
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
            self.key_buffer, self.value_buffer = key_states, value_states
            self.keys, self.values = key_states, value_states  # a prompt: it may never be continued
            return self.keys, self.values
        start = self.keys.shape[-2]
        end = start + key_states.shape[-2]
        if end > self.key_buffer.shape[-2]:
            self.key_buffer = enlarged(self.keys, end + GROWTH)
            self.value_buffer = enlarged(self.values, end + GROWTH)
        self.key_buffer[:, :, start:end] = key_states
        self.value_buffer[:, :, start:end] = value_states
        self.keys, self.values = self.key_buffer[:, :, :end], self.value_buffer[:, :, :end]
        return self.keys, self.values

    def take_in(self, others: Sequence[PreallocatedLayer], used: Sequence[int]) -> None:
        """Add the rows of other layers behind these. Of each layer, this one first, the last `used` tokens stay; they
        end side by side, behind zeros where others are longer."""
        layers = (self, *others)
        self.key_buffer = _ending_alike([layer.keys for layer in layers], used)
        self.value_buffer = _ending_alike([layer.values for layer in layers], used)
        self.keys, self.values = self.key_buffer[:, :, : max(used)], self.value_buffer[:, :, : max(used)]

    def pop(self) -> tuple[Tensor, Tensor]:
        """Return the keys and values, and empty this layer."""
        states = self.keys, self.values
        self.keys = self.values = self.key_buffer = self.value_buffer = self.keys.new_empty(0)
        return states

    def keep(self, rows: Sequence[int]) -> None:
        """Keep these rows, in this order. Only rows that change their place are copied."""
        if all(row == i or row >= len(rows) for i, row in enumerate(rows)):
            moved = [(i, row) for i, row in enumerate(rows) if row != i]
            for i, row in moved:
                self.key_buffer[i] = self.key_buffer[row]
                self.value_buffer[i] = self.value_buffer[row]
            self.key_buffer, self.value_buffer = self.key_buffer[: len(rows)], self.value_buffer[: len(rows)]
        else:
            index, capacity = torch.tensor(rows, device=self.keys.device), self.keys.shape[-2] + GROWTH
            self.key_buffer = enlarged(self.keys, capacity, index)
            self.value_buffer = enlarged(self.values, capacity, index)
        length = self.keys.shape[-2]
        self.keys, self.values = self.key_buffer[:, :, :length], self.value_buffer[:, :, :length]


def enlarged(states: Tensor, capacity: int, rows: Tensor | None = None) -> Tensor:
    """A buffer [B, heads, capacity, width] that begins with these states, or with these rows of them."""
    num_rows = len(states) if rows is None else len(rows)
    buffer = states.new_empty(num_rows, states.shape[1], capacity, states.shape[3])
    buffer[:, :, : states.shape[2]] = states if rows is None else states[rows]
    return buffer


def preallocated_cache(config: Any) -> DynamicCache:
    """An empty cache for a model; layers of other kinds (with a sliding window) stay transformers' own."""
    cache = DynamicCache(config=config)
    cache.layers = [PreallocatedLayer() if type(layer) is DynamicLayer else layer for layer in cache.layers]
    return cache


def growing_cache() -> Cache:
    """An empty cache for any number of layers that see all tokens."""
    return Cache(layer_class_to_replicate=PreallocatedLayer)


def sees_all(cache: Any) -> bool:
    """Whether every layer attends to all tokens before, without a window or a state of another kind."""
    return all(isinstance(layer, PreallocatedLayer) for layer in cache.layers)


def keep_rows(cache: Any, rows: Sequence[int]) -> None:
    """Keep these rows of every layer, in this order; a row may be named several times."""
    for layer in cache.layers:
        if isinstance(layer, PreallocatedLayer):
            layer.keep(rows)
        else:
            layer.batch_select_indices(torch.tensor(rows, device=layer.keys.device))


def join_rows(cache: Any, others: Sequence[Any], used: Sequence[int]) -> None:
    """Add the rows of other caches, of each the last `used` tokens; all their layers are ours (`sees_all`)."""
    for layer, *more in zip(cache.layers, *(other.layers for other in others), strict=True):
        layer.take_in(more, used)


def _ending_alike(states: Sequence[Tensor], used: Sequence[int]) -> Tensor:
    """A buffer [B, heads, length + GROWTH, width] of all rows, whose tokens end at the length of the longest."""
    length, (_, heads, _, width) = max(used), states[0].shape
    buffer, first = states[0].new_zeros(sum(map(len, states)), heads, length + GROWTH, width), 0
    for one, own in zip(states, used, strict=True):
        buffer[first : first + len(one), :, length - own : length] = one[:, :, -own:]
        first += len(one)
    return buffer
