"""Exact and search methods on problems with a known model: they plan, they do not learn.

There are two kinds of problem. A `FiniteMDP` is given by its tables (numpy, float64). A text problem is a prompt, a
`Sampling` with `max_tokens`, the tokens that stop a completion, and a reward of the finished completion; its policy is
only read, through the `Policy` protocol. `Planner` is the exception: it writes the action values of a FiniteMDP into a
table, one round per step of `strop.train`.

Shape legend: S states, A actions, H steps left, N paths or samples, V vocabulary, Y finished completions.
"""

from __future__ import annotations

from typing import Any

from strop import loader


def __getattr__(name: str) -> Any:
    return loader.load("planning", name)


def __dir__() -> list[str]:
    return loader.names("planning")
