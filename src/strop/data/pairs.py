"""Texts and their translations, cleaned: what is dropped is counted by reason, and kept to be read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from strop.data.cleaning import cleaned
from strop.data.placeholders import MARKUP, bare, placeholders, without_accelerators
from strop.data.shingles import words_of

LONGEST = 200
"""Characters of a text: a longer one is no message but a page."""
UNTRANSLATED, MARKED_UP, UNEQUAL, WORDLESS = "untranslated", "markup", "placeholders differ", "no word"
TOO_LONG, DUPLICATE, ANOTHER = "too long", "duplicate", "another translation"


@dataclass(frozen=True, slots=True)
class Pair:
    """A text and its translation. `place` is where they stand: a catalogue, or the line of a file."""

    source: str
    target: str
    place: str


@dataclass(frozen=True, slots=True)
class Dropped:
    """A pair that is not learnt from, and why."""

    pair: Pair
    reason: str


def clean(pairs: Iterable[Pair]) -> tuple[list[Pair], list[Dropped]]:
    """(the pairs that can be learnt from, what was dropped), each in order.

    Spaces and line breaks become one space, Unicode one form (NFC); marks of accelerator keys go, and with them `(~F)`.
    Placeholders such as `%(name)s` stay: a translation copies them, and a pair that does not is dropped. So is one with
    tags or entities of HTML, whose translation equals its source, that has no word, or is longer than `LONGEST`
    characters. Of texts that differ in case and signs alone one stays; of several translations of a text that which is
    there most often, else the first.
    """
    kept, dropped = list[Pair](), list[Dropped]()
    for pair in map(_plain, pairs):
        if reason := _flaw(pair):
            dropped.append(Dropped(pair, reason))
        else:
            kept.append(pair)
    return _once(kept, dropped)


def keys(texts: Sequence[str]) -> list[bytes]:
    """Of each text a key that ignores case, signs and which placeholder stands there."""
    if not texts:
        return []
    words = words_of([bare(text) for text in texts])
    ends = words.ends_D.tolist()
    return [words.hashes_W[start:end].tobytes() for start, end in zip([0, *ends], ends, strict=False)]


def _plain(pair: Pair) -> Pair:
    source, target = without_accelerators(*(cleaned(text).text for text in (pair.source, pair.target)))
    return Pair(" ".join(source.split()), " ".join(target.split()), pair.place)


def _flaw(pair: Pair) -> str:
    """Why a pair cannot be learnt from; empty if it can."""
    texts = (pair.source, pair.target)
    if not all(texts) or pair.source.casefold() == pair.target.casefold():
        return UNTRANSLATED
    if any(map(MARKUP.search, texts)):
        return MARKED_UP
    if placeholders(pair.source) != placeholders(pair.target):
        return UNEQUAL
    if not all(any(map(str.isalpha, bare(text))) for text in texts):
        return WORDLESS
    return TOO_LONG if max(map(len, texts)) > LONGEST else ""


def _once(pairs: Sequence[Pair], dropped: list[Dropped]) -> tuple[list[Pair], list[Dropped]]:
    """One translation of each text; the others are added to what was dropped."""
    sources, targets = keys([pair.source for pair in pairs]), keys([pair.target for pair in pairs])
    both = Counter(zip(sources, targets, strict=True))
    best: dict[bytes, bytes] = {}
    for source, target in both:  # in the order in which they first occur
        if source not in best or both[source, target] > both[source, best[source]]:
            best[source] = target
    kept, seen = list[Pair](), set[bytes]()
    for pair, source, target in zip(pairs, sources, targets, strict=True):
        if source == target:
            dropped.append(Dropped(pair, UNTRANSLATED))
        elif target != best[source]:
            dropped.append(Dropped(pair, ANOTHER))
        elif source in seen:
            dropped.append(Dropped(pair, DUPLICATE))
        else:
            seen.add(source)
            kept.append(pair)
    return kept, dropped
