"""Baselines: simple ways to do a task, played on a run's held-out tasks and shown beside its policy. One kind per file.

`(task, seen) -> text` is asked at every turn; `seen` is a `strop.Observation`. One that learns from the training tasks
first is a frozen dataclass with `fit(tasks)`, which returns such a function. A policy that does not beat them has
learnt nothing that somebody needs.
"""

from __future__ import annotations

from typing import Any

from strop import loader


def __getattr__(name: str) -> Any:
    return loader.load("baselines", name)


def __dir__() -> list[str]:
    return loader.names("baselines")
