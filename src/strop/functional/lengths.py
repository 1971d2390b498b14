"""Penalties on the length of an answer."""

from __future__ import annotations

import torch
from torch import Tensor


def soft_overlong(length_E: Tensor, max_tokens: int, cache: int) -> Tensor:
    """The soft overlong penalty of DAPO (2503.14476, eq. 13), in [-1, 0].

    0 up to max_tokens - cache, then falling by 1 / cache a token, -1 from max_tokens on. `cache` 0 turns it off.
    """
    if cache == 0:
        return torch.zeros_like(length_E, dtype=torch.float64)
    return ((max_tokens - cache - length_E.double()) / cache).clamp(-1.0, 0.0)
