"""Compare an algorithm with a slow reference implementation: two updates, and everything that they change or return.

A slow reference is a generator. It keeps its own parameters, and yields for each update what the algorithm must return
or have: parameters, metrics, opinions on every scored act in order, and priorities. It shares no code with
`algorithms/` and `functional/`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from strop.batch import collate
from strop.optimizer import SGD
from strop.types import Batch, Pick, Update
from strop.verify.awkward import Story
from strop.verify.checks import Gap
from strop.verify.chunked import Numbers

EXACT = 1e-10
RATE = 6.0
OPTIMIZER = SGD(lr=RATE)
MICRO = 17
"""Padded tokens of a micro-batch: room for most single episodes, and for few pairs of them."""
UPDATES = 2


@dataclass(frozen=True, slots=True)
class Expected:
    """The expected outcome of one update. The parameters are in the algorithm's order."""

    parameters: Sequence[Tensor]
    metrics: dict[str, float]
    opinions: dict[str, list[float]] = field(default_factory=dict)
    priority: list[float] | None = None


def agree(
    algorithm: Any,
    parameters: Sequence[Tensor],
    picks: Sequence[Pick],
    slow: Iterator[Expected],
    case: str,
    updates: int = UPDATES,
) -> Gap:
    """The largest gap over some updates on the same picks; `case` names the number that is off, if one is."""
    batch = collate(tuple(picks), "joined")
    gaps: dict[str, float] = {}
    for number in range(1, updates + 1):
        wanted = next(slow)
        for name, gap in _gaps(algorithm.update(batch), parameters, batch, wanted):
            gaps[f"{name}, update {number}"] = gap
    worst = max(gaps, key=gaps.__getitem__)
    return Gap(gaps[worst], EXACT, case if gaps[worst] <= EXACT else f"{case}: {worst}")


def _gaps(update: Update, parameters: Sequence[Tensor], batch: Batch, wanted: Expected) -> Iterator[tuple[str, float]]:
    for i, (own, number) in enumerate(zip(parameters, wanted.parameters, strict=True)):
        yield f"parameter {i}", _apart(own.flatten().tolist(), number.flatten().tolist())
    for name in update.metrics.keys() | wanted.metrics.keys():
        known = name in update.metrics and name in wanted.metrics
        yield name, _apart([update.metrics[name].value], [wanted.metrics[name]]) if known else math.inf
    scored_BT = batch.action_BT & (batch.weight_B > 0).unsqueeze(1)
    for name in update.per_token.keys() | wanted.opinions.keys():
        if not (name in update.per_token and name in wanted.opinions):
            yield name, math.inf
            continue
        opinion_BT = update.per_token[name]
        yield name, _apart(opinion_BT[scored_BT].tolist(), wanted.opinions[name])
        if name != "value":  # values are also read at bootstrap slots
            yield f"{name} off the acts", float(opinion_BT[~batch.action_BT].abs().max())
    if (update.priority_K is None) != (wanted.priority is None):
        yield "priority", math.inf
    elif update.priority_K is not None and wanted.priority is not None:
        yield "priority", _apart(update.priority_K.tolist(), wanted.priority)


def _apart(got: Sequence[float], wanted: Sequence[float]) -> float:
    """The largest difference, relative to the largest number (at least 1); infinite where only one of two is NaN."""
    if len(got) != len(wanted):
        return math.inf
    size = max([1.0, *(abs(x) for x in wanted if math.isfinite(x))])
    distances = [0.0 if a == b or (a != a and b != b) else abs(a - b) / size for a, b in zip(got, wanted, strict=True)]
    return max([math.inf if d != d else d for d in distances], default=0.0)


def descend(loss: Tensor, moved: Sequence[Tensor]) -> dict[str, float]:
    """One step of gradient descent at RATE, and the optimiser's metrics."""
    gradients = torch.autograd.grad(loss, list(moved), allow_unused=True)
    known = [torch.zeros_like(one) if g is None else g for one, g in zip(moved, gradients, strict=True)]
    with torch.no_grad():
        for number, gradient in zip(moved, known, strict=True):
            number.sub_(RATE * gradient)
    norm = math.sqrt(sum(float((gradient**2).sum()) for gradient in known))
    return {"optimizer/loss": loss.item(), "optimizer/gradient_norm": norm, "optimizer/learning_rate": RATE}


def prefixes(story: Story) -> list[tuple[int, ...]]:
    """The tokens before each act."""
    return [act.prefix for act in story.acts]


def of_actions(table_TV: Tensor, story: Story) -> Tensor:
    """[T]: of each row, the entry of the action."""
    return torch.stack([row[act.token] for row, act in zip(table_TV, story.acts, strict=True)])


def mean(numbers: Sequence[float]) -> float:
    """The mean; NaN of an empty list."""
    return math.fsum(numbers) / len(numbers) if numbers else math.nan


def counted(some: Sequence[Story]) -> list[Story]:
    """The stories that have a weight and an act."""
    return [story for story in some if story.weight > 0 and story.acts]


def trail(slow: Numbers, fast: Numbers, share: float) -> None:
    """slow <- (1 - share) * slow + share * fast."""
    with torch.no_grad():
        for behind, ahead in ((slow.weight, fast.weight), (slow.value, fast.value)):
            behind.copy_((1 - share) * behind + share * ahead)
