"""What stands beside a policy: a baseline, which sees texts and no tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    import numpy as np

    from strop.types.records import Task


@dataclass(frozen=True, slots=True)
class Observation:
    """What a baseline sees when it is to act.

    text     what the environment said last; at the first turn the prompt, of a conversation its last message
    choices  the texts of which the action is one; empty where any text is allowed
    turn     how many turns of the episode are over
    rng      dice; each episode has its own, the same in every run of a seed
    """

    text: str
    choices: tuple[str, ...]
    turn: int
    rng: np.random.Generator


class Baseline(Protocol):
    """A simple way to do the task, to compare a policy with: a function, or a frozen dataclass that can be called."""

    def __call__(self, task: Task, seen: Observation) -> str:
        """The text of this turn."""


@runtime_checkable
class Fits(Protocol):
    """A baseline that learns first: a frozen dataclass of its settings."""

    def fit(self, tasks: Sequence[Task]) -> Baseline:
        """The baseline as it has learnt from the run's training tasks."""
