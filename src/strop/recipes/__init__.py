"""Recipes: Python functions that return a TrainConfig. `strop train NAME` runs one."""

from __future__ import annotations

from typing import Any

from strop import loader


def __getattr__(name: str) -> Any:
    return loader.load("recipes", name)


def __dir__() -> list[str]:
    return loader.names("recipes")
