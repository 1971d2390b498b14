"""Which episodes an update learns from. A memory keeps Episode records, never tensors."""

from __future__ import annotations

from typing import Any

from strop import loader
from strop.memory.chunks import Chunks
from strop.memory.dataset import Dataset
from strop.memory.fresh import Fresh
from strop.memory.prioritised import Prioritised
from strop.memory.replay import Replay

__all__ = ["Chunks", "Dataset", "Fresh", "Prioritised", "Replay"]


def __getattr__(name: str) -> Any:
    return loader.load("memory", name)  # of third parties; ours are imported above, for type checkers


def __dir__() -> list[str]:
    return loader.configured("memory")
