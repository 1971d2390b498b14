"""One prompt and one answer: the environment of most language-model tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from strop.types import End, Prompt, Step, Task

if TYPE_CHECKING:
    import numpy as np


class SingleTurn:
    """It gives no reward itself: the run's rewards score the episode."""

    def __init__(self, task: Task, rng: np.random.Generator) -> None:
        self._task = task

    def start(self) -> Prompt:
        """The task's prompt."""
        return self._task.prompt

    def step(self, text: str) -> Step:
        """End the episode, whether or not the answer was cut at `max_tokens`."""
        return Step("", end=End.TERMINATED)

    def close(self) -> None:
        """Nothing to free."""


def examples() -> list[tuple[Task, list[str], float]]:
    """(task, the texts of a perfect player, their summed turn rewards)."""
    return [(Task(id="1", prompt="say hello"), ["hello"], 0.0)]
