"""A fair coin and one pair of answers: small enough that every step of every algorithm can be computed by hand."""

from __future__ import annotations

import math
from typing import Any

import torch

from exact.build import batch_of, episode, turn
from exact.learners import as_baseline, configured
from strop.functional.divergences import KL
from strop.optimizer import SGD
from strop.policies.table import Table
from strop.types import Batch, Sampling

HALF = math.log(0.5)


def coin() -> Table:
    """A fair coin after the prompt (9,): row 0; and after (9, 0): row 1."""
    table = Table(2, capacity=8, value_head=True)
    table.row((9,)), table.row((9, 0))
    return table


def build(kind: Any, policy: Any, **fields: Any) -> Any:
    config = configured(kind, **({"optimizer": SGD(lr=1.0), "kl": KL()} | fields))
    return config.build(policy, Sampling(max_tokens=4), 4096)


def pair() -> Batch:
    """One group: "0 1" pays 3, "1" pays 1; log-probs of the fair coin."""
    return batch_of(
        episode(turn((9,), (0, 1), (HALF, HALF)), reward=3.0),
        as_baseline(episode(turn((9,), (1,), (HALF,)), reward=1.0)),
        layout="per_turn",
    )


def identical(a: Any, b: Any) -> bool:
    """Equal to the last bit."""
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(identical(a[key], b[key]) for key in a)
    if isinstance(a, torch.Tensor):
        return a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(identical(x, y) for x, y in zip(a, b, strict=True))
    return bool(a == b)
