"""Is the end happy? By the VADER lexicon (Hutto and Gilbert 2014), which `pip install "strop[demo]"` brings."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec

from strop.rewards._text import sentences_of, words_of
from strop.rewards._vader import compound, valence
from strop.types import Episode, Task, check_fields


@dataclass(frozen=True, slots=True, kw_only=True)
class HappyEnd:
    """How happy the last sentence is, 0 to 1; one happy word is enough, and more do not raise the score.

    VADER's compound score of the last sentence, each word read once, divided by `enough` and clipped to 0 to 1. VADER
    adds up the words, so maximising it teaches a model to write "happy beautiful happy". Therefore the reward
    saturates at one plain happy word ("smiled" .36, "happy" .57), and happy words beyond one in `spacing` words of
    the whole text (two are always free) divide it: 8 of 24 words at a spacing of 6 score 4/8. A text that was cut has
    no end, and scores 0.

    Cheated by: the same happy last sentence in every story. A lexicon cannot detect that.
    """

    enough: float = 0.35
    spacing: int = 6

    def __post_init__(self) -> None:
        check_fields(self)
        if not 0.0 < self.enough <= 1.0 or self.spacing < 1:
            raise ValueError(f"{self}: enough lies in (0, 1], and spacing is at least 1.")
        if find_spec("vaderSentiment") is None:
            raise ModuleNotFoundError('HappyEnd needs the package vaderSentiment: pip install "strop[demo]"')

    def __call__(self, task: Task, episode: Episode) -> float:
        sentences, words = sentences_of(episode.text), words_of(episode.text)
        if not sentences or episode.turns[-1].completion.finish != "stop":
            return 0.0
        happy = min(1.0, max(0.0, compound(_once(sentences[-1])) / self.enough))
        num_feelings = sum(valence(word) > 0.0 for word in words)
        num_free = max(2.0, len(words) / self.spacing)
        return happy * min(1.0, num_free / max(1, num_feelings))


def _once(sentence: str) -> str:
    """Every word of the sentence once, without shouting: capitals and "!!!" raise VADER's score too."""
    return " ".join(dict.fromkeys(words_of(sentence)))
