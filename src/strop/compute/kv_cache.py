"""A key-value cache that is written in place.

transformers' own cache joins old and new tensors at every token: with 32 rows of SmolLM2 behind 100 tokens that moves
300 MB a token into fresh memory. Here each layer has room for tokens to come, and rows that leave make place for others
by moving one row, not all.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import DynamicCache, DynamicLayer

ROOM = 64
"""Tokens that a layer grows by: the copy that growing costs is paid once for so many."""


class RoomyLayer(DynamicLayer):  # type: ignore[misc]  # transformers has no types
    """Keys and values [B, heads, T, width] are views of larger buffers."""

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """Write the new tokens behind the old ones; the whole, without a copy.

        Keys are kept in the values' type. Under autocast they come in float32, because positions are turned in that,
        and every attention rounds them: once here instead of all of them at every token.
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
            self.key_buffer = with_room(self.keys, end + ROOM)
            self.value_buffer = with_room(self.values, end + ROOM)
        self.key_buffer[:, :, start:end] = key_states
        self.value_buffer[:, :, start:end] = value_states
        self.keys, self.values = self.key_buffer[:, :, :end], self.value_buffer[:, :, :end]
        return self.keys, self.values

    def taken(self) -> tuple[Tensor, Tensor]:
        """Keys and values, for someone else to hold: nothing of them stays here."""
        states = self.keys, self.values
        self.keys = self.values = self.key_buffer = self.value_buffer = self.keys.new_empty(0)
        return states

    def keep(self, rows: Sequence[int]) -> None:
        """These rows, in this order. Where each stands already, or comes from behind all of them, little is moved."""
        if all(row == i or row >= len(rows) for i, row in enumerate(rows)):
            moved = [(i, row) for i, row in enumerate(rows) if row != i]
            for i, row in moved:
                self.key_buffer[i] = self.key_buffer[row]
                self.value_buffer[i] = self.value_buffer[row]
            self.key_buffer, self.value_buffer = self.key_buffer[: len(rows)], self.value_buffer[: len(rows)]
        else:
            index, capacity = torch.tensor(rows), self.keys.shape[-2] + ROOM
            self.key_buffer = with_room(self.keys, capacity, index)
            self.value_buffer = with_room(self.values, capacity, index)
        length = self.keys.shape[-2]
        self.keys, self.values = self.key_buffer[:, :, :length], self.value_buffer[:, :, :length]


def with_room(states: Tensor, capacity: int, rows: Tensor | None = None) -> Tensor:
    """A buffer [B, heads, capacity, width] that begins with these states, or with these rows of them."""
    num_rows = len(states) if rows is None else len(rows)
    buffer = states.new_empty(num_rows, states.shape[1], capacity, states.shape[3])
    buffer[:, :, : states.shape[2]] = states if rows is None else states[rows]
    return buffer


def roomy(config: Any) -> DynamicCache:
    """An empty cache for a model; layers that are not of the plain kind (a sliding window) stay transformers' own."""
    cache = DynamicCache(config=config)
    cache.layers = [RoomyLayer() if type(layer) is DynamicLayer else layer for layer in cache.layers]
    return cache


def keep(cache: Any, rows: Sequence[int]) -> None:
    """Rows of every layer, in this order; a row may be named several times."""
    for layer in cache.layers:
        if isinstance(layer, RoomyLayer):
            layer.keep(rows)
        else:
            layer.batch_select_indices(torch.tensor(rows))
