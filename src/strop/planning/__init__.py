"""Exact and search methods on problems that can be written down: they plan, they do not learn.

Two kinds of problem. A `FiniteMDP` is given by its tables (numpy, float64). A text problem is a prompt, a `Sampling`
distribution with `max_tokens`, the tokens that stop a completion, and a reward of the finished completion; a policy is
read through the `Policy` protocol and never changed. `Planner` is the exception: it writes a FiniteMDP's plan into a
table, one round a step of `strop.train`.

Shape legend: S states, A actions, H steps left, N paths or samples, V vocabulary, Y finished completions.
"""

from __future__ import annotations

from typing import Any

from strop import loader


def __getattr__(name: str) -> Any:
    return loader.load("planning", name)


def __dir__() -> list[str]:
    return loader.names("planning")
