"""One learner per family of algorithms: it owns the policy, the optimiser and the state."""

from __future__ import annotations

from typing import Any

from strop import loader


def __getattr__(name: str) -> Any:
    return loader.load("learners", name)


def __dir__() -> list[str]:
    return loader.names("learners")
