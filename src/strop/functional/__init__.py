"""Pure tensor functions that the algorithms share: no state, no policy, no episodes.

Shape legend: B rows, T slots, E picks, N decisions, V vocabulary.
"""

from __future__ import annotations

from typing import Any

from strop import loader


def __getattr__(name: str) -> Any:
    return loader.load("functional", name)


def __dir__() -> list[str]:
    return loader.names("functional")
