"""People by the number, drawn from a seed: person k depends on the seed, the wording and k alone."""

from __future__ import annotations

from dataclasses import replace

from strop.streams import stream
from strop.users.customer import Customer
from strop.users.hand import Hand
from strop.users.phrases import Language, Wording, phrases_of
from strop.users.problems import AREAS, ODDS
from strop.users.reader import Reader
from strop.users.temper import TEMPERS, draw_temper

NUM_TOPICS = 3
"""Of a reader."""
READ_GLADLY = 25
"""The most words of an answer that a hurried reader reads gladly."""


def customers(
    number: int, seed: int = 0, wording: Wording = "train", language: Language = "en", wrong: float = 0.1
) -> list[Customer]:
    """So many customers. Areas are equally likely, causes by `ODDS`, tempers by their shares.

    wording   whose words they use: of no two kinds are they the same
    wrong     the share of their thumbs and comparisons that is the opposite of what they think
    """
    areas, phrases, found = list(AREAS), phrases_of(language), list[Customer]()
    for k in range(number):
        rng = stream(seed, f"users/customers/{wording}", k)
        area = areas[int(rng.integers(len(areas)))]
        cause = list(AREAS[area].fixes)[int(rng.choice(len(ODDS), p=ODDS))]
        temper = draw_temper(rng)
        found.append(
            Customer(
                id=f"{wording}-{k}",
                area=area,
                cause=cause,
                language=language,
                temper=temper,
                taste=replace(TEMPERS[temper].taste, most_words=phrases.brief),
                patience=TEMPERS[temper].draw_patience(rng),
                hand=Hand(wrong=wrong),
                wording=wording,
            )
        )
    return found


def readers(number: int, seed: int = 0, language: Language = "en", wrong: float = 0.1) -> list[Reader]:
    """So many readers, with three topics each. They have the tastes of the tempers."""
    topics, found = list(phrases_of(language).topics), list[Reader]()
    for k in range(number):
        rng = stream(seed, "users/readers", k)
        found.append(
            Reader(
                id=f"reader-{k}",
                topics=[topics[i] for i in rng.permutation(len(topics))[:NUM_TOPICS]],
                language=language,
                taste=replace(TEMPERS[draw_temper(rng)].taste, most_words=READ_GLADLY),
                hand=Hand(wrong=wrong),
            )
        )
    return found
