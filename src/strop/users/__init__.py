"""Simulated people, with a taste, patience and a hand that errs: they write, judge, compare and correct."""

from __future__ import annotations

from typing import Any

from strop import loader


def __getattr__(name: str) -> Any:
    return loader.load("users", name)


def __dir__() -> list[str]:
    return loader.names("users")
