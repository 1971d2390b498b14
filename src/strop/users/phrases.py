"""What is said in a language: the moves of an answer and what else means the same, and the words of people.

Each list of people's words is split, so that people who are held out speak in words that training never has.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from strop.types import shown
from strop.users.problems import MOVES

if TYPE_CHECKING:
    import numpy as np

Language: TypeAlias = "Literal['en', 'zh']"
Wording: TypeAlias = "Literal['train', 'development', 'held_out']"
LANGUAGES: tuple[Language, ...] = ("en", "zh")
WORDINGS: tuple[Wording, ...] = ("train", "development", "held_out")
NUM_HELD_OUT, NUM_DEVELOPMENT = 2, 1
"""Of each list of words that is split: the last ones, and the one before them."""
WORD = re.compile(r"[\u4e00-\u9fff]|[^\W\u4e00-\u9fff]+(?:['’-]\w+)*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Phrases:
    """The words of a language. Lists that are split say so.

    system     what an assistant for customers is told first
    moves      each move in a sentence of at most `brief` words
    sorry      what makes an answer courteous if it stands before it, and longer than `brief`
    thanks     what makes an answer to a reader courteous if it stands before it
    means      what an answer holds that means a move: a regular expression
    courteous  what a courteous answer holds
    brief      the most words of a brief answer to a customer; a Chinese character is a word
    told       a sentence of a subject and a trouble
    frames     what a temper makes of the sentence
    subjects   by area, split
    troubles   by area, split
    answers    by area and cause, to the question that tells, split
    replies    to what finds out and mends nothing: "asked", "tried", "praise" and "puzzled"
    solved     last words of who was helped
    left       and of who was not
    asked      how a reader asks about a topic
    topics     of readers: what it is called, and a sentence about it
    keywords   what an answer about a topic holds
    """

    system: str
    moves: Mapping[str, str]
    sorry: str
    thanks: str
    means: Mapping[str, str]
    courteous: str
    brief: int
    told: str
    frames: Mapping[str, Sequence[str]]
    subjects: Mapping[str, Sequence[str]]
    troubles: Mapping[str, Sequence[str]]
    answers: Mapping[str, Mapping[str, Sequence[str]]]
    replies: Mapping[str, Sequence[str]]
    solved: Sequence[str]
    left: Sequence[str]
    asked: Sequence[str]
    topics: Mapping[str, str]
    keywords: Mapping[str, str]

    def said(self, move: str, courteous: bool = False) -> str:
        """The sentence of a move. Raises ValueError for another one."""
        if move not in self.moves:
            raise ValueError(f"move={shown(move)}: it is one of {', '.join(MOVES)}.")
        return self.sorry + self.moves[move] if courteous else self.moves[move]

    def move_of(self, text: str) -> str | None:
        """The move that a text means: the first one that stands in it, as people do the first thing that they read.

        None for a text that means none of them.
        """
        found = {move: re.search(pattern, text, re.IGNORECASE) for move, pattern in self.means.items()}
        places = {move: match.start() for move, match in found.items() if match}
        return min(places, key=lambda move: places[move], default=None)

    def is_courteous(self, text: str) -> bool:
        """Whether a text holds a polite word."""
        return re.search(self.courteous, text, re.IGNORECASE) is not None


def phrases_of(language: str) -> Phrases:
    """The words of a language. Raises ValueError for one that there is not."""
    from strop.users._chinese import CHINESE
    from strop.users._english import ENGLISH

    check_language(language)
    return {"en": ENGLISH, "zh": CHINESE}[language]


def check_language(language: str) -> None:
    """Raise ValueError for a language that people do not speak here."""
    if language not in LANGUAGES:
        raise ValueError(f"language={shown(language)}: it is one of {', '.join(LANGUAGES)}.")


def check_wording(wording: str) -> None:
    """Raise ValueError for words that nobody has."""
    if wording not in WORDINGS:
        raise ValueError(f"wording={shown(wording)}: it is one of {', '.join(WORDINGS)}.")


def part_of(texts: Sequence[str], wording: Wording) -> Sequence[str]:
    """The texts of a list that people of this wording use."""
    last, first = len(texts) - NUM_HELD_OUT, len(texts) - NUM_HELD_OUT - NUM_DEVELOPMENT
    return {"train": texts[:first], "development": texts[first:last], "held_out": texts[last:]}[wording]


def one_of(rng: np.random.Generator, texts: Sequence[str]) -> str:
    """One of the texts, each equally likely."""
    return texts[int(rng.integers(len(texts)))]


def num_words(text: str) -> int:
    """The words of a text; a Chinese character is one."""
    return len(WORD.findall(text))
