"""Walk a corridor of rooms with "left" and "right"; the last room pays 1, and a time limit truncates the episode.

The text names the room and nothing else, so this is a Markov chain with known exact values: treating a truncation as a
termination gives visibly wrong ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from strop.types import End, Prompt, Step, Task

if TYPE_CHECKING:
    import numpy as np


class Corridor:
    """`task.data`: `room` to start in, `length` (rooms 0 to length - 1), `turns` until it is truncated."""

    def __init__(self, task: Task, rng: np.random.Generator) -> None:
        self._room: int = task.data["room"]
        self._last: int = task.data["length"] - 1
        self._turns_left: int = task.data["turns"]

    def start(self) -> Prompt:
        """The first room."""
        return f"room{self._room}"

    def step(self, text: str) -> Step:
        """One room further; anything but "right" walks left. The last room terminates with reward 1."""
        self._room = max(self._room + (1 if text.strip() == "right" else -1), 0)
        self._turns_left -= 1
        if self._room == self._last:
            return Step("", reward=1.0, end=End.TERMINATED)
        return Step(f"room{self._room}", end=End.TRUNCATED if self._turns_left <= 0 else None)

    def close(self) -> None:
        """Nothing to free."""


def examples() -> list[tuple[Task, list[str], float]]:
    """(task, the texts of a perfect player, their summed turn rewards)."""
    return [(Task(id="1", prompt="", data={"room": 1, "length": 4, "turns": 5}), ["right", "right"], 1.0)]
