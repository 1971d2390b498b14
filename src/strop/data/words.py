"""Everyday nouns, written for strop: concrete, countable, neutral, so that none of them scores as a happy word."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib.resources import files

import numpy as np

from strop.streams import stream


def nouns() -> tuple[str, ...]:
    """The list, in alphabetical order."""
    return tuple((files("strop.data") / "nouns.txt").read_text(encoding="utf-8").split())


def split_words(words: Sequence[str], num_held_out: int, seed: int = 0) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """`(training, held out)`: no word is in both; the split depends only on the words and the seed."""
    if not 0 < num_held_out < len(words):
        raise ValueError(f"num_held_out={num_held_out}: hold out 1 to {len(words) - 1} of {len(words)} words.")
    shuffled = _shuffled(sorted(words), stream(seed, "words/split"))
    return tuple(sorted(shuffled[num_held_out:])), tuple(sorted(shuffled[:num_held_out]))


def draw_sets(words: Sequence[str], size: int, seed: int = 0) -> Iterator[tuple[str, ...]]:
    """Endless sets of `size` words. Every word is used once before any is used again."""
    if not 0 < size <= len(words):
        raise ValueError(f"size={size}: a set has 1 to {len(words)} of {len(words)} words.")
    rng = stream(seed, "words/sets")
    while True:
        shuffled = _shuffled(words, rng)
        for start in range(0, len(words) - size + 1, size):
            yield tuple(shuffled[start : start + size])


def with_article(noun: str) -> str:
    """ "a lamp", "an acorn"."""
    return f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"


def _shuffled(words: Sequence[str], rng: np.random.Generator) -> list[str]:
    return [words[i] for i in rng.permutation(len(words))]
