"""A penalty for lists of words instead of English prose. Give it a negative weight."""

from __future__ import annotations

from strop.rewards._text import fall, words_of
from strop.types import Episode, Task

_FUNCTION_WORDS = """
a an the this that these those some any each every no all both another one two
i you he she it we they me him her us them my your his its our their who which what whose
and or but so because if when while as than then until before after though
of to in on at by for from with without into onto over under up down out off through across near
beside behind between along around about inside is are was were be been being am has have had do does
did will would can could should may might must not there here where how too very just again
"""
FUNCTION_WORDS = frozenset(_FUNCTION_WORDS.split())


def word_heap(task: Task, episode: Episode) -> float:
    """How far the share of function words ("the", "and", "was", ...) is from that of English prose; 0 to 1.

    0 from 30 to 62 %; it grows linearly to 1 at 10 % (a list of words) and at 82 % (filler around nothing).
    0 for a text without words. English only: any other language counts as a list of words.
    Cheated by: adding articles to a list.
    """
    words = words_of(episode.text)
    if not words:
        return 0.0
    share = sum(word in FUNCTION_WORDS for word in words) / len(words)
    return 1.0 - fall(share, full=0.30, zero=0.10) * fall(share, full=0.62, zero=0.82)
