"""An assistant that learns from the people who use it: feedback, learning, proof, promotion. Nothing here prints."""

from __future__ import annotations

from typing import Any

from strop import loader


def __getattr__(name: str) -> Any:
    return loader.load("assistant", name)


def __dir__() -> list[str]:
    return loader.names("assistant")
