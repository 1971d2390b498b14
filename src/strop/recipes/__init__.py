"""Recipes: Python functions that return a TrainConfig. `strop train NAME` runs one."""

from __future__ import annotations

from typing import Any

from strop import loader


def __getattr__(name: str) -> Any:
    return loader.load_file("recipes", name)


def __dir__() -> list[str]:
    return [module.name for module in loader.modules("recipes")]
