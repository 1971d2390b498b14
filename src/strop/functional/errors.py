"""Regression losses besides the squared error."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def huber(error: Tensor, threshold: float | None) -> Tensor:
    """error^2 / 2 up to the threshold, linear with the same slope beyond (Huber 1964); None: always error^2 / 2."""
    limit = math.inf if threshold is None else threshold
    bounded = error.clamp(-limit, limit)
    return bounded * (error - bounded / 2)


def expectile(error: Tensor, level: float) -> Tensor:
    """|level - 1(error < 0)| * error^2, error = target - estimate: its minimum is the expectile (Newey & Powell 1987).

    Level 0.5 gives the mean, 1 tends to the maximum.
    """
    # torch.where of two numbers would be float32
    share = torch.full_like(error, level).masked_fill(error < 0, 1.0 - level)
    return share * error.square()
