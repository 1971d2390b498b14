"""The result of an update, and the errors that stop a run."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class Mean:
    """A mean kept as total and count, so that micro-batches merge exactly: never a mean of means."""

    total: float
    count: float

    @property
    def value(self) -> float:
        """The mean; NaN if nothing was counted."""
        return self.total / self.count if self.count else math.nan

    def merge(self, other: Mean) -> Mean:
        """The mean over both."""
        return Mean(self.total + other.total, self.count + other.count)


@dataclass(frozen=True, slots=True)
class Max:
    """The largest value."""

    value: float

    def merge(self, other: Max) -> Max:
        """The larger one."""
        return other if other.value > self.value else self


@dataclass(frozen=True, slots=True)
class Last:
    """The newest value."""

    value: float

    def merge(self, other: Last) -> Last:
        """The newer one."""
        return other


Metric: TypeAlias = "Mean | Max | Last"
Metrics: TypeAlias = "dict[str, Metric]"


def merge_metrics(many: Iterable[Mapping[str, Metric]]) -> Metrics:
    """Merge the metrics of several micro-batches, each name by its own reduction."""
    merged: Metrics = {}
    for metrics in many:
        for name, metric in metrics.items():
            merged[name] = merged[name].merge(metric) if name in merged else metric  # type: ignore[arg-type]
    return merged


@dataclass(frozen=True, slots=True)
class Term:
    """What one micro-batch adds to an update: a loss with gradient, metrics, and numbers per token.

    `notes` are tensors [b, t] by name, without gradient; `slots_bt` holds their flat positions in the whole batch.
    """

    loss: Tensor
    metrics: Metrics
    notes: Mapping[str, Tensor] = field(default_factory=dict)
    slots_bt: Tensor | None = None


@dataclass(frozen=True, slots=True)
class Update:
    """The result of one update: metrics, opinions per token (advantages, ratios), and a priority per pick (or None)."""

    metrics: Metrics
    per_token: dict[str, Tensor] = field(default_factory=dict)
    priority_K: Tensor | None = None


class NonFinite(ArithmeticError):
    """NaN or infinity where a finite number is needed. Raised before the optimiser steps.

    `batch` is the data it was found in, `advice` what to change: an unchanged run, resumed, gets there again.
    """

    def __init__(self, what: str, batch: object, advice: str = "") -> None:
        super().__init__(f"{what} is not finite" + (f". {advice}" if advice else ""))
        self.what, self.batch, self.advice = what, batch, advice

    def __reduce__(self) -> tuple[type[NonFinite], tuple[str, object, str]]:
        return NonFinite, (self.what, self.batch, self.advice)  # it may come from another process


class Stopped(RuntimeError):
    """A guard stopped the run: the message says what it saw, why it matters and what to do."""
