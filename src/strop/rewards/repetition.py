"""What is not wanted: a text that repeats itself or the prompt. Give these a negative weight."""

from __future__ import annotations

from dataclasses import dataclass

from strop.rewards._text import prompt_text, runs_of, words_of
from strop.types import Episode, Task, check_fields


@dataclass(frozen=True, slots=True)
class Repetition:
    """The share of runs of `n` words that stood before, 0 to 1; it is 1 - distinct-n (Li et al. 2016, 1510.03055).

    "happy happy happy happy" has three pairs, two of them repeated: 2/3. 0 for a text shorter than n words.
    Escaped by: a short text, and by a salad of different words.
    """

    n: int = 2

    def __post_init__(self) -> None:
        check_fields(self)
        _check(self, self.n)

    def __call__(self, task: Task, episode: Episode) -> float:
        runs = runs_of(words_of(episode.text), self.n)
        return 1.0 - len(set(runs)) / len(runs) if runs else 0.0


@dataclass(frozen=True, slots=True)
class Copying:
    """The share of the text's runs of `n` words that stand in the prompt, 0 to 1. 0 for a text shorter than n words.

    Escaped by: changing every n-th word of the prompt. Three words make that hard without writing something else.
    """

    n: int = 3

    def __post_init__(self) -> None:
        check_fields(self)
        _check(self, self.n)

    def __call__(self, task: Task, episode: Episode) -> float:
        runs = runs_of(words_of(episode.text), self.n)
        known = set(runs_of(words_of(prompt_text(task.prompt)), self.n))
        return sum(run in known for run in runs) / len(runs) if runs else 0.0


def _check(reward: object, n: int) -> None:
    if n < 1:
        raise ValueError(f"{reward}: a run has at least 1 word.")
