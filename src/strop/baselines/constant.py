"""What needs no look at the task."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from strop.types import Baseline, Observation, Task


@dataclass(frozen=True, slots=True)
class Always:
    """The same text at every turn."""

    text: str

    def __call__(self, task: Task, seen: Observation) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Majority:
    """The most frequent answer of the training tasks.

    Of several that are as frequent it takes the one that comes first.
    """

    def fit(self, tasks: Sequence[Task]) -> Baseline:
        """Count the answers. Raises ValueError where no task has one."""
        counts = Counter(task.answer for task in tasks if task.answer)
        if not counts:
            raise ValueError("the baseline Majority counts the answers of the training tasks, and none has an answer.")
        return Always(counts.most_common(1)[0][0])
