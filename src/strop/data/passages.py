"""Reading comprehension: passages about invented lands, written from tables, with a question that a span answers.

Nobody has met these lands, so nothing but the passage helps. A passage is about three of them and says the same kind of
thing of each, so that a reader has to find the right one. Names, and the sentences and questions that facts are told
and asked in, belong to one split alone: held-out passages speak of new lands in new words.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np

from strop.data.lands import BEGINNINGS, ENDS, KINDS, MIDDLES, pick
from strop.data.words import split_words
from strop.streams import stream
from strop.types import Task

Split = Literal["train", "development", "held_out"]
SPLITS: tuple[Split, ...] = ("train", "development", "held_out")
NUM_LANDS = 3
"""Of a passage."""
NUM_HELD_OUT, NUM_TOLD, NUM_ASKED = 600, 2, 1
"""Names, and sentences and questions for each kind of fact, of each of the two splits that are not trained on."""


def passages(split: Split, number: int, seed: int = 0) -> list[Task]:
    """So many tasks of a split. Their prompt is the passage, a blank line and the question.

    `data` has `passage`, `question`, `kind`, `land` and further `accepted` answers. Task k depends on (split, k, seed)
    alone. Raises ValueError for another split.
    """
    if split not in SPLITS:
        raise ValueError(f"split={split!r}: it is one of {', '.join(SPLITS)}.")
    names = names_of(split)
    return [_passage(split, names, k, stream(seed, f"passages/{split}", k)) for k in range(number)]


def names_of(split: Split) -> tuple[str, ...]:
    """The names of lands, cities, rivers and people that may stand in a passage of this split, and in no other's."""
    every = [begin + middle + end for begin in BEGINNINGS.split() for middle in MIDDLES.split() for end in ENDS.split()]
    rest, held_out = split_words(every, NUM_HELD_OUT)
    train, development = split_words(rest, NUM_HELD_OUT, seed=1)
    return {"train": train, "development": development, "held_out": held_out}[split]


def _of(split: Split, texts: Sequence[str], num: int) -> Sequence[str]:
    """The sentences or questions that a split may use; `num` belong to each of the two that are not trained on."""
    return {"train": texts[: -2 * num], "development": texts[-2 * num : -num], "held_out": texts[-num:]}[split]


def _passage(split: Split, names: Sequence[str], number: int, rng: np.random.Generator) -> Task:
    """A task: of each land the kind of fact that is asked for, and another one."""
    kinds = list(KINDS)
    asked, *others = (kinds[i] for i in rng.permutation(len(kinds))[: NUM_LANDS + 1])
    of_lands, free = names[::2], names[1::2]  # no city is called as a land
    lands = [of_lands[i] for i in rng.permutation(len(of_lands))[:NUM_LANDS]]
    values = _different(lambda: KINDS[asked].value(rng, free))
    about = int(rng.integers(NUM_LANDS))
    blocks = []
    for land, value, other in zip(lands, values, others, strict=True):
        told = [(asked, value), (other, KINDS[other].value(rng, free))]
        blocks.append(_block(split, land, [told[i] for i in rng.permutation(len(told))], rng))
    passage, land, value = " ".join(blocks), lands[about], values[about]
    question = pick(rng, _of(split, KINDS[asked].asked, NUM_ASKED)).format(land=land)
    return Task(
        f"{split}-{number}",
        f"{passage}\n\n{question}",
        value,
        {
            "passage": passage,
            "question": question,
            "kind": asked,
            "land": land,
            "accepted": [phrase.format(value=value) for phrase in KINDS[asked].phrases],
        },
    )


def _different(draw: Callable[[], str]) -> list[str]:
    """A value for each land, none of them twice: else two answers would be right."""
    found: dict[str, None] = {}
    while len(found) < NUM_LANDS:
        found[draw()] = None
    return list(found)


def _block(split: Split, land: str, facts: Sequence[tuple[str, str]], rng: np.random.Generator) -> str:
    """The sentences about a land, which only the first one names."""
    sentences = []
    for place, (kind, value) in enumerate(facts):
        text = pick(rng, _of(split, KINDS[kind].told, NUM_TOLD)).format(
            land="the country" if place else land, value=value
        )
        sentences.append(text[0].upper() + text[1:])
    return " ".join(sentences)


SENTENCES = re.compile(r"(?<=\.) (?=[A-Z\d])")
SPAN = re.compile(r"\d[\d.]*\d(?: million)?|[A-Z]\w+(?: [A-Z]\w+)*|\w+(?=\.$)")
"""A number, a name, or the last word of a sentence."""


def nearest_span(passage: str, question: str) -> str:
    """What an extractor without any learning answers; empty if it finds nothing.

    From the sentence that names what the question names, it looks at two. It takes the one that shares the most other
    words with the question (Richardson et al. 2013), and there the last number, name or word that is not in the
    question.
    """
    asked = set(re.findall(r"\w+", question))
    sentences = SENTENCES.split(passage)
    names = {one for one in asked if one[0].isupper() and re.search(rf"\b{one}\b", passage)}
    first = next((i for i, one in enumerate(sentences) if names & set(re.findall(r"\w+", one))), 0)
    near = sentences[first : first + 2]
    best = max(near, key=lambda one: len((asked - names) & set(re.findall(r"\w+", one))))
    spans = [one for one in SPAN.findall(best) if not asked & set(one.split())]
    return spans[-1] if spans else ""
