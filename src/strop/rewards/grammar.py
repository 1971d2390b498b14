"""Is the English right? By the rules of Harper (`pip install "strop[rewards]"`)."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from typing import Any

from strop.functional.bounds import check_positive_share
from strop.rewards._text import fall, words_of
from strop.types import Episode, Task, check_fields

MOST_CHARS = 5_000
"""So much of a text is read: Harper's time for one long word grows with its square."""


@dataclass(frozen=True, slots=True)
class Grammar:
    """1 for English without a mistake that Harper's rules find; it falls linearly with the mistakes per word, 0 to 1.

    most  so many mistakes per word score 0

    Spelling, agreement, a doubled word, a missing capital and more, as many as the rules know: a text may be wrong
    without one. A word in another script than Latin is a mistake, and a text without words scores 0. The first 5,000
    characters are read. Another version of harper-py has other rules, and gives other numbers.

    Cheated by: a short sure sentence, and lists of words, which break no rule. `uses_words` and `WordLimit` limit that.
    """

    most: float = 0.2

    def __post_init__(self) -> None:
        check_fields(self)
        check_positive_share("Grammar.most", self.most)
        if find_spec("harper") is None:
            raise ModuleNotFoundError('Grammar needs the package harper-py: pip install "strop[rewards]"')

    def __call__(self, task: Task, episode: Episode) -> float:
        text = episode.text[:MOST_CHARS]
        words = words_of(text)
        if not words:
            return 0.0
        mistakes = len(_linter().lint(text)) + sum(map(_is_foreign, words))
        return fall(mistakes / len(words), full=0.0, zero=self.most)


def _is_foreign(word: str) -> bool:
    return any(letter.isalpha() and not unicodedata.name(letter, "").startswith("LATIN") for letter in word)


@cache
def _linter() -> Any:
    from harper import Linter

    return Linter()
