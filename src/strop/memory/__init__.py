"""Which episodes an update learns from. A memory keeps Episode records, never tensors."""

from __future__ import annotations

from strop.memory.dataset import Dataset
from strop.memory.fresh import Fresh
from strop.memory.prioritised import Prioritised
from strop.memory.replay import Replay

__all__ = ["Dataset", "Fresh", "Prioritised", "Replay"]


def __dir__() -> list[str]:
    return __all__
