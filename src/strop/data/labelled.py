"""Texts with labels, in three splits that share no near duplicate.

A text is cut to a number of words. Of texts that are near duplicates the first one stays, whatever the labels of the
others say: a twin on the other side of a split would be an answer given away. Every label has the same share of each
split, and the place of a text depends on its words and the seed alone.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from strop.data.overlap import blocks
from strop.data.shingles import words_of
from strop.data.twins import near_duplicates
from strop.types import Task
from strop.words import plural

MOST_HELD_OUT = 400
"""Texts of the development split, and of the held-out one."""
SHARE = 0.1
"""Of a small data set goes into each of the two."""


@dataclass(frozen=True, slots=True)
class Text:
    """A text, and what it is labelled as."""

    text: str
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """Texts in three splits. `development` is for choosing what to train; `held_out` is judged once, at the end.

    labels   every label, in the order of the alphabet
    num_near how many texts were dropped as near duplicates of another
    """

    labels: tuple[str, ...]
    train: Sequence[Text]
    development: Sequence[Text]
    held_out: Sequence[Text]
    num_near: int


def labelled(texts: Iterable[Text], words: int, seed: int = 0) -> Labelled:
    """Cut the texts to so many words, drop near duplicates, and split the rest.

    words  the first words of a text that are kept; a Chinese character is one

    Raises ValueError if a label has too few texts for three splits, or if there is one label only.
    """
    if words < 1:
        raise ValueError(f"words={words}: a text is cut to at least one word.")
    given = list(texts)
    begun = zip(beginnings([one.text for one in given], words), given, strict=True)
    cut = [Text(text, one.label) for text, one in begun if text]
    twins = {twin.task.id for twin in near_duplicates([Task(str(i), one.text) for i, one in enumerate(cut)])}
    kept = [one for i, one in enumerate(cut) if str(i) not in twins]
    dealt = sorted(kept, key=lambda one: _hash(one.text, f"deal {seed}"))
    by_label = {name: [one for one in dealt if one.label == name] for name in sorted({one.label for one in kept})}
    _check(by_label, len(twins))
    share = min(SHARE, MOST_HELD_OUT / len(kept))
    parts: list[list[Text]] = [[], [], []]
    for ones in by_label.values():
        number = max(1, round(share * len(ones)))
        for part, some in zip(parts, (ones[:number], ones[number : 2 * number], ones[2 * number :]), strict=True):
            part += some
    mixed = [sorted(part, key=lambda one: _hash(one.text, f"mix {seed}")) for part in parts]
    return Labelled(
        labels=tuple(by_label), held_out=mixed[0], development=mixed[1], train=mixed[2], num_near=len(twins)
    )


def beginnings(texts: Sequence[str], words: int) -> list[str]:
    """The first words of each text, in one line."""
    lines = [" ".join(text.split()) for text in texts]
    found = list[str]()
    for block in blocks(lines):
        read = words_of(block)
        begins = (read.ends_D - read.counts_D).tolist()
        for line, begin, count in zip(block, begins, read.counts_D.tolist(), strict=True):
            found.append(line[: read.at_W[begin + words]].rstrip() if count > words else line)
    return found


def _hash(text: str, salt: str) -> bytes:
    """Deals texts as by chance: it depends on the words, of any case, and on the salt."""
    return hashlib.blake2b(text.casefold().encode(), digest_size=16, key=salt.encode()).digest()


def _check(by_label: dict[str, list[Text]], num_near: int) -> None:
    counts = Counter({label: len(ones) for label, ones in by_label.items()})
    told = ", ".join(f"{label!r} {number:,}" for label, number in counts.most_common()) or "none"
    if len(counts) < 2:
        raise ValueError(f"to tell labels apart takes texts of two labels at least, and there are: {told}.")
    if min(counts.values()) < 3:
        raise ValueError(
            f"a label needs {plural(3, 'text')} at least, one for each split, and there are: {told} (without "
            f"{num_near:,} near duplicates). Give more, or leave the label out."
        )
