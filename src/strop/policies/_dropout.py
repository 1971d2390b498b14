"""Dropout whose masks come from a generator of the policy's own, so that a resumed run draws the same ones."""

from __future__ import annotations

from typing import Self

import torch
from torch import Tensor


class Dropout:
    """Sets each number to 0 with probability `share`, and scales the others so that the mean stays (1207.0580).

    It acts while a gradient is recorded, and never while sampling or judging. The masks are drawn on the CPU: they are
    the same on every device.
    """

    def __init__(self, share: float, seed: int) -> None:
        self.share = share
        self._dice = torch.Generator().manual_seed(seed)

    def __call__(self, numbers: Tensor) -> Tensor:
        if not self.share or not torch.is_grad_enabled():
            return numbers
        kept = torch.rand(numbers.shape, generator=self._dice) >= self.share
        return numbers * kept.to(numbers.device, numbers.dtype).div_(1.0 - self.share)

    def state(self) -> Tensor:
        """The generator's state, uint8."""
        return self._dice.get_state()

    def set_state(self, state: Tensor) -> None:
        self._dice.set_state(state)

    def __deepcopy__(self, memo: dict[int, object]) -> Self:
        """A copied policy goes on with masks of its own."""
        copied = type(self)(self.share, 0)
        copied.set_state(self.state())
        return copied
