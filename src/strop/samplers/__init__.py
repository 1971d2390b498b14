"""Samplers turn prompts into completions, in order; each completion has its own random stream."""

from __future__ import annotations

from typing import Any

from strop import loader


def __getattr__(name: str) -> Any:
    return loader.load("samplers", name)


def __dir__() -> list[str]:
    return loader.names("samplers")
