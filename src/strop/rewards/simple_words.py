"""Does the text use common words? By the frequencies of wordfreq (`pip install "strop[rewards]"`)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec

from strop.functional.bounds import check_finite
from strop.types import Episode, Task, check_fields

SPLITTERS = {"zh": "jieba", "ja": "MeCab", "ko": "MeCab"}
"""Languages whose words wordfreq finds by another package."""


@dataclass(frozen=True, slots=True)
class SimpleWords:
    """The share of words, 0 to 1, that are at least so common; 0 for a text without words.

    It is half of readability; the other half is `ShortSentences`.

    least     on the Zipf scale of wordfreq, the log10 of occurrences in a billion words: "the" has 7.7, "frog" 3.9,
              "defenestrate" 1.0
    language  a language of wordfreq: en, de, fr, ...; Chinese needs the package jieba as well, Japanese and Korean
              `pip install "wordfreq[cjk]"`

    The frequencies are those of 2021, so newer words count as rare. Cheated by: "the the the", or any list of common
    words. `Repetition` and `word_heap` show that.
    """

    least: float = 3.5
    language: str = "en"

    def __post_init__(self) -> None:
        check_fields(self)
        check_finite("SimpleWords.least", self.least)
        if find_spec("wordfreq") is None:
            raise ModuleNotFoundError('SimpleWords needs the package wordfreq: pip install "strop[rewards]"')
        if self.language not in (known := _languages()):
            raise ValueError(f"SimpleWords.language={self.language!r}: it is one of {', '.join(sorted(known))}.")
        if (splitter := SPLITTERS.get(self.language)) and find_spec(splitter) is None:
            raise ModuleNotFoundError(
                f'SimpleWords(language="{self.language}") needs the package {splitter}: pip install "wordfreq[cjk]"'
            )

    def __call__(self, task: Task, episode: Episode) -> float:
        from wordfreq import tokenize, zipf_frequency

        words = tokenize(episode.text, self.language)
        common = sum(zipf_frequency(word, self.language) >= self.least for word in words)
        return common / len(words) if words else 0.0


@cache
def _languages() -> frozenset[str]:
    from wordfreq import available_languages

    return frozenset(available_languages())
