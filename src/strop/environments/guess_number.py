"""Guess a hidden number: after each guess the numbers that it may still be are told, until no guess is left.

Of n numbers that are equally likely, k guesses find it with probability min(1, (2^k - 1) / n) and no more: k guesses
have 2^k - 1 different ways to end with the number. Guessing the middle reaches it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from strop.types import End, Step, Task

if TYPE_CHECKING:
    import numpy as np

ILLEGAL = "illegal"


class GuessNumber:
    """`task.answer` is the number, `task.data` has `low` and `high`, between which it lies, and `turns`, the guesses.

    Reward 1 for the number; the game ends with it or with the last guess. Each prompt is what is left, and the choices
    are the numbers that it may still be. A guess that is none of them, where choices are off, is answered by "illegal"
    and counts as a guess.
    """

    def __init__(self, task: Task, rng: np.random.Generator) -> None:
        self._number, self._turns_left = int(task.answer), int(task.data["turns"])
        self._low, self._high = int(task.data["low"]), int(task.data["high"])
        if not self._low <= self._number <= self._high:
            raise ValueError(f"task {task.id}: the answer {task.answer} is not between {self._low} and {self._high}.")

    def start(self) -> Step:
        """The range of the number."""
        return self._shown()

    def step(self, text: str) -> Step:
        """What the guess leaves."""
        self._turns_left -= 1
        guess = text.strip()
        if guess == str(self._number):
            return Step("", reward=1.0, end=End.TERMINATED)
        is_legal = guess in self._choices()
        if is_legal and int(guess) < self._number:
            self._low = int(guess) + 1
        elif is_legal:
            self._high = int(guess) - 1
        if self._turns_left <= 0:
            return Step("", end=End.TERMINATED)
        return self._shown("" if is_legal else f"{ILLEGAL}\n")

    def close(self) -> None:
        """Nothing to free."""

    def _choices(self) -> list[str]:
        return [str(number) for number in range(self._low, self._high + 1)]

    def _shown(self, before: str = "") -> Step:
        text = f"{before}from {self._low} to {self._high}\nguesses {self._turns_left}"
        return Step(text, replaces=True, choices=self._choices())


def found_share(numbers: int, guesses: int) -> float:
    """The largest probability to find one of so many numbers with so many guesses."""
    return min(1.0, (2.0**guesses - 1) / numbers)


def examples() -> list[tuple[Task, list[str], float]]:
    """(task, the texts of a perfect player, their summed turn rewards)."""
    task = Task(id="1", prompt="", answer="3", data={"low": 1, "high": 7, "turns": 3})
    return [(task, ["4", "2", "3"], 1.0)]
