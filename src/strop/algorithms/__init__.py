"""One file per algorithm: its formula, its pure functions, and its Config. Learners take the steps."""

from __future__ import annotations

from typing import Any

from strop import loader


def __getattr__(name: str) -> Any:
    return loader.load("algorithms", name)


def __dir__() -> list[str]:
    return loader.configured("algorithms")
