"""The task's prompt, one answer, the end: what most language-model tasks are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from strop.types import End, Prompt, Step, Task

if TYPE_CHECKING:
    import numpy as np


class SingleTurn:
    """Gives no reward of its own: rewards judge the episode."""

    def __init__(self, task: Task, rng: np.random.Generator) -> None:
        self._task = task

    def start(self) -> Prompt:
        """The task's prompt."""
        return self._task.prompt

    def step(self, text: str) -> Step:
        """The episode ends with the answer, whether or not it was cut at `max_tokens`."""
        return Step("", end=End.TERMINATED)

    def close(self) -> None:
        """Nothing is held."""


def examples() -> list[tuple[Task, list[str], float]]:
    """(task, the texts of a perfect player, their summed turn rewards)."""
    return [(Task(id="1", prompt="say hello"), ["hello"], 0.0)]
