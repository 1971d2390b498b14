"""Someone who asks what things are, and has a taste: they like answers to the point, in the manner that they like."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

from strop.types import check_fields, shown
from strop.users.hand import Hand
from strop.users.person import Talk, Verdict, answered, answers_of
from strop.users.phrases import Phrases, check_language, one_of, phrases_of
from strop.users.taste import Taste

if TYPE_CHECKING:
    import numpy as np

TO_THE_POINT, OFF = 1.0, -1.0
"""What an answer is worth that speaks of what was asked, and one that does not, or says the same again and again."""
MOST_REPEATED = 0.5
"""The share of pairs of words that may have stood before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """A person who asks about one topic after the other, and is gone after the last one.

    id        a name
    topics    what they ask about, in order: of `phrases_of(language).topics`
    language  en or zh
    taste     what they like
    hand      how often their thumbs err
    """

    id: str
    topics: Sequence[str]
    language: Literal["en", "zh"] = "en"
    taste: Taste = field(default_factory=Taste)
    hand: Hand = field(default_factory=Hand)

    def __post_init__(self) -> None:
        check_fields(self)
        check_language(self.language)
        object.__setattr__(self, "topics", tuple(self.topics))
        known = phrases_of(self.language).topics
        if not self.topics or not set(self.topics) <= set(known):
            raise ValueError(f"topics={shown(self.topics)}: one or more of {', '.join(known)}.")

    def write(self, talk: Talk, rng: np.random.Generator) -> str:
        """The next question; last words after all of them."""
        if self.is_over(talk):
            return one_of(rng, self.phrases.solved)
        return one_of(rng, self.phrases.asked).format(topic=self.topics[_num_answers(talk)])

    def is_over(self, talk: Talk) -> bool:
        """Whether all of their questions were answered."""
        return _num_answers(talk) >= len(self.topics)

    def worth(self, talk: Talk) -> float:
        """Whether the last answer is to the point, and how it is said."""
        answers, phrases = answers_of(talk), self.phrases
        topic = self.topics[min(len(answers), len(self.topics)) - 1]
        is_about = re.search(phrases.keywords[topic], answers[-1], re.IGNORECASE) is not None
        is_good = is_about and repeated_share(answers[-1]) <= MOST_REPEATED
        return (TO_THE_POINT if is_good else OFF) + self.taste.of(answers[-1], phrases)

    def judge(self, talk: Talk, rng: np.random.Generator) -> bool:
        """A thumb for the last answer."""
        return self.hand.thumb(self.worth(talk), rng)

    def compare(self, talk: Talk, first: str, second: str, rng: np.random.Generator) -> Verdict:
        """Which of two answers they like better."""
        worths = [self.worth(answered(talk, text)) for text in (first, second)]
        return self.hand.comparison(worths[0], worths[1], rng)

    def correct(self, talk: Talk, rng: np.random.Generator) -> str:
        """A sentence about what they asked last, with a polite word if they like it."""
        number = sum(message["role"] == "user" for message in talk)
        told = self.phrases.topics[self.topics[min(max(number, 1), len(self.topics)) - 1]]
        return self.phrases.thanks + told if self.taste.wants_courtesy else told

    @property
    def phrases(self) -> Phrases:
        """The words of their language."""
        return phrases_of(self.language)


def repeated_share(text: str) -> float:
    """The share of pairs of neighbouring words that stood in the text before; 0 where there is no pair."""
    words = text.casefold().split()
    pairs = list(pairwise(words))
    return 1.0 - len(set(pairs)) / len(pairs) if pairs else 0.0


def _num_answers(talk: Talk) -> int:
    return sum(message["role"] == "assistant" for message in talk)
