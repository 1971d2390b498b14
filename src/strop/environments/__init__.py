"""Environments: they exchange text, and `environment(task, rng)` makes one object per episode. One file each."""

from __future__ import annotations

from typing import Any

from strop import loader


def __getattr__(name: str) -> Any:
    return loader.load("environments", name)


def __dir__() -> list[str]:
    return loader.names("environments")
