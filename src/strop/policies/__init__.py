"""Models that act and learn: each owns its parameters and obeys `strop.types.Policy`."""

from __future__ import annotations

from typing import Any

from strop import loader


def __getattr__(name: str) -> Any:
    return loader.load("policies", name)


def __dir__() -> list[str]:
    return sorted([*loader.configured("policies"), "LoRA", "Scratch"])
