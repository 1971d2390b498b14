"""Guess a hidden word of an ordered list; the environment answers "before" or "after" between guesses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from strop.types import End, Prompt, Step, Task

if TYPE_CHECKING:
    import numpy as np


class GuessWord:
    """`task.answer` is the word, `task.data["words"]` the list in order, `task.data["turns"]` the budget.

    Reward 1 for the word, which terminates the game; the budget truncates it. A guess that is not in the list is
    answered with "unknown" and costs a turn.
    """

    def __init__(self, task: Task, rng: np.random.Generator) -> None:
        self._task = task
        self._words: list[str] = list(task.data["words"])
        self._turns_left: int = task.data["turns"]
        if task.answer not in self._words:
            raise ValueError(f"task {task.id}: the answer {task.answer!r} is not in its list of words.")

    def start(self) -> Prompt:
        """The task's prompt, which must not reveal the word."""
        return self._task.prompt

    def step(self, text: str) -> Step:
        """Whether the hidden word comes before or after the guess."""
        self._turns_left -= 1
        guess = text.strip()
        if guess == self._task.answer:
            return Step("", reward=1.0, end=End.TERMINATED)
        end = End.TRUNCATED if self._turns_left <= 0 else None
        if guess not in self._words:
            return Step("unknown", end=end)
        is_before = self._words.index(self._task.answer) < self._words.index(guess)
        return Step("before" if is_before else "after", end=end)

    def close(self) -> None:
        """Nothing to free."""


def examples() -> list[tuple[Task, list[str], float]]:
    """(task, the texts of a perfect player, their summed turn rewards)."""
    task = Task(id="1", prompt="guess", answer="ant", data={"words": ["ant", "bee", "cat"], "turns": 2})
    return [(task, ["bee", "ant"], 1.0)]
