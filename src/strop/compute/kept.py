"""What is made from weights, kept until they change."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor

T = TypeVar("T")


class Kept(Generic[T]):
    """The result of `make()`, which copies `sources`. Made when it is first asked for, and again after a source has
    changed in place.

    Whoever got a result may go on using it: it is never changed, and lives as long as somebody holds it.
    """

    def __init__(self, sources: Sequence[Tensor], make: Callable[[], T]) -> None:
        self.sources, self._make = sources, make
        self._made: tuple[list[int], T] | None = None

    def get(self) -> T:
        """The result for the sources as they are."""
        versions, made = [source._version for source in self.sources], self._made
        if made is None or made[0] != versions:
            self._made = made = None  # an old copy is freed before the new one is made
            with torch.inference_mode(False), torch.no_grad():  # a copy made in inference mode could not train later
                made = versions, self._make()
            self._made = made
        return made[1]

    def drop_if_trainable(self) -> None:
        """Let go of a copy that training makes stale: in the meantime its memory serves others."""
        if any(source.requires_grad for source in self.sources):
            self._made = None

    def __deepcopy__(self, memo: dict[int, Any]) -> Kept[T]:
        """For copied sources. It starts empty: what was made would give its gradient to the old ones."""
        return Kept(copy.deepcopy(self.sources, memo), copy.deepcopy(self._make, memo))
