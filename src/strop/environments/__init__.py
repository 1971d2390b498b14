"""Environments speak text, and one object plays one episode: `environment(task, rng)`. One file each."""

from __future__ import annotations

from typing import Any

from strop import loader


def __getattr__(name: str) -> Any:
    return loader.load("environments", name)


def __dir__() -> list[str]:
    return loader.names("environments")
