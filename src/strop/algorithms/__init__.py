"""One file each: pure loss functions and one final class. The only code that changes a policy's parameters."""

from __future__ import annotations

from typing import Any

from strop import loader


def __getattr__(name: str) -> Any:
    return loader.load("algorithms", name)


def __dir__() -> list[str]:
    return loader.configured("algorithms")
