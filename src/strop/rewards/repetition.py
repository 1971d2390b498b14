"""Penalties for a text that repeats itself or the prompt. Give them a negative weight."""

from __future__ import annotations

from dataclasses import dataclass

from strop.rewards._text import ngrams_of, prompt_text, words_of
from strop.types import Episode, Task, check_fields


@dataclass(frozen=True, slots=True)
class Repetition:
    """The share of word n-grams that occurred before, 0 to 1; it is 1 - distinct-n (Li et al. 2016, 1510.03055).

    "happy happy happy happy" has three pairs, two of them repeated: 2/3. 0 for a text shorter than n words.
    Cheated by: a short text, or a random list of different words.
    """

    n: int = 2

    def __post_init__(self) -> None:
        check_fields(self)
        _check(self, self.n)

    def __call__(self, task: Task, episode: Episode) -> float:
        ngrams = ngrams_of(words_of(episode.text), self.n)
        return 1.0 - len(set(ngrams)) / len(ngrams) if ngrams else 0.0


@dataclass(frozen=True, slots=True)
class Copying:
    """The share of the text's word n-grams that occur in the prompt, 0 to 1. 0 for a text shorter than n words.

    Cheated by: changing every n-th word of the prompt. With n = 3 that amounts to writing another text.
    """

    n: int = 3

    def __post_init__(self) -> None:
        check_fields(self)
        _check(self, self.n)

    def __call__(self, task: Task, episode: Episode) -> float:
        ngrams = ngrams_of(words_of(episode.text), self.n)
        known = set(ngrams_of(words_of(prompt_text(task.prompt)), self.n))
        return sum(ngram in known for ngram in ngrams) / len(ngrams) if ngrams else 0.0


def _check(reward: object, n: int) -> None:
    if n < 1:
        raise ValueError(f"{reward}: n is at least 1.")
