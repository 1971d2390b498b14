"""Texts in a style, out of Grimm's tales: passages as they are, the simplest of them, and the haiku that hide in them.

Half of the tales are for training and for the reward, the other half for what checks it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from importlib.resources import files
from itertools import pairwise
from typing import Any, Literal

from strop.data.words import nouns, split_words

Half = Literal["reward", "gold"]
Family = Literal["logistic", "bayes"]
NUM_HELD_OUT = 72
"""Nouns that no training prompt names."""
LENGTHS = range(25, 61)
"""Words of a passage."""
HAIKU = (5, 7, 5)
SENTENCE = re.compile(r"(?<=[.!?])['\")]*\s+(?=['\"(]*[A-Z])")
CLAUSE_END = re.compile(r"[.,;:!?]['\")]*$")
WORD = re.compile(r"[a-z]+")


def passages(half: Half) -> list[str]:
    """Runs of whole sentences of 25 to 60 words, out of half of Grimm's tales."""
    found = list[str]()
    for tale in _tales(half):
        for paragraph in tale:
            found += _runs(SENTENCE.split(paragraph))
    return found


def own_stories(half: Half) -> list[str]:
    """What SmolLM2-135M-Instruct tells by itself when it is asked for a story: half of 200 beginnings."""
    stories = _documents("stories.txt")
    return [story for story in stories if _half(story) == half]


def haiku(counts: Callable[[str], Sequence[int | None]]) -> list[str]:
    """Three lines of 5, 7 and 5 syllables that stand in the tales, from the beginning of a clause to the end of one.

    counts  the syllables of each word of a text
    """
    tales = [*_tales("reward"), *_tales("gold")]
    length = cache(lambda word: _sum(counts(word)))  # of a hundred thousand words few are different
    return [found for tale in tales for paragraph in tale for found in _haiku_in(paragraph.split(), length)]


def prompted(texts: Sequence[str], any_word: bool = False) -> list[tuple[str, str]]:
    """(a noun that is trained on, the text that it stands in). A text with a held-out noun is left out.

    any_word  a text without a noun goes with its longest word; else it is left out too
    """
    trained, held_out = frozenset(trained_nouns()), frozenset(held_out_nouns())
    pairs = list[tuple[str, str]]()
    for text in texts:
        words = WORD.findall(text.lower())
        named = [word for word in words if word in trained]
        if not held_out.intersection(words) and (named or any_word):
            pairs.append((named[0] if named else max(words, key=len), text))
    return pairs


@cache
def trained_nouns() -> tuple[str, ...]:
    """Nouns that training prompts may name."""
    return split_words(nouns(), NUM_HELD_OUT)[0]


@cache
def held_out_nouns() -> tuple[str, ...]:
    """Nouns that no training prompt names, and no text that is imitated."""
    return split_words(nouns(), NUM_HELD_OUT)[1]


@cache
def fitted(family: Family, half: Half) -> Any:
    """A classifier of scikit-learn that tells the model's own stories, class 0, from Grimm's passages, class 1.

    family  logistic: logistic regression on tf-idf of words and pairs; bayes: naive Bayes on words
    half    the half of both that it is fitted on
    """
    from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.naive_bayes import MultinomialNB
    from sklearn.pipeline import make_pipeline

    if family == "logistic":
        read = TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True)
        made = make_pipeline(read, LogisticRegression(C=10.0, class_weight="balanced", max_iter=1000))
    else:
        made = make_pipeline(CountVectorizer(min_df=2, binary=True), MultinomialNB(fit_prior=False))
    texts = [own_stories(half), passages(half)]
    labels = [label for label, some in enumerate(texts) for _ in some]
    return made.fit([text for some in texts for text in some], labels)


def _tales(half: Half) -> Iterator[list[str]]:
    """The paragraphs of each tale, without its title."""
    for tale in _documents("grimm.txt"):
        title, *paragraphs = tale.splitlines()
        if _half(title) == half:
            yield paragraphs


def _documents(name: str) -> list[str]:
    text = (files("strop.data") / name).read_text(encoding="utf-8")
    return [one for one in text.strip().split("\n\n") if one]


def _half(text: str) -> Half:
    return "gold" if hashlib.blake2b(text.encode(), digest_size=1).digest()[0] % 2 else "reward"


def _runs(sentences: Sequence[str]) -> Iterator[str]:
    """Sentences together until they have enough words; what then has too many is left out."""
    run = list[str]()
    for sentence in sentences:
        run.append(sentence)
        length = len(" ".join(run).split())
        if length >= LENGTHS.start:
            if length in LENGTHS:
                yield " ".join(run)
            run = []


def _haiku_in(words: Sequence[str], length: Callable[[str], int | None]) -> Iterator[str]:
    ends = [number + 1 for number, word in enumerate(words) if CLAUSE_END.search(word)]
    lengths = [length(word) for word in words]
    for start in (0, *ends):
        cuts = [start]
        for wanted in HAIKU:
            cuts.append(_cut(lengths, cuts[-1], wanted))
        if cuts[-1] in ends:
            yield "\n".join(" ".join(words[one:other]) for one, other in pairwise(cuts))


def _cut(lengths: Sequence[int | None], start: int, wanted: int) -> int:
    """Behind which word so many syllables are over; beyond the text if behind none."""
    total, end = 0, start
    while total < wanted:
        length = lengths[end] if end < len(lengths) else None
        if length is None:
            return len(lengths) + 1
        total, end = total + length, end + 1
    return end if total == wanted else len(lengths) + 1


def _sum(counts: Sequence[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if len(known) == len(counts) else None
