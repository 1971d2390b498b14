"""Are the sentences short?"""

from __future__ import annotations

from dataclasses import dataclass

from strop.rewards._text import sentences_of, words_of
from strop.types import Episode, Task, check_fields


@dataclass(frozen=True, slots=True)
class ShortSentences:
    """The share of words that stand in sentences of at most `words` words, 0 to 1; 0 for a text without words.

    In a script without spaces a character counts as a word: ten are one couplet of a Chinese poem of five characters a
    line. Cheated by: one short sentence over and over, which `Repetition` shows.
    """

    words: int = 10

    def __post_init__(self) -> None:
        check_fields(self)
        if self.words < 1:
            raise ValueError(f"ShortSentences(words={self.words}): a sentence has at least 1 word.")

    def __call__(self, task: Task, episode: Episode) -> float:
        lengths = [len(words_of(sentence)) for sentence in sentences_of(episode.text)]
        return sum(length for length in lengths if length <= self.words) / sum(lengths) if lengths else 0.0
