"""Samplers turn prompts into completions. Order is kept, and completion i draws from its own random stream."""

from __future__ import annotations

from typing import Any

from strop import loader


def __getattr__(name: str) -> Any:
    return loader.load("samplers", name)


def __dir__() -> list[str]:
    return loader.names("samplers")
