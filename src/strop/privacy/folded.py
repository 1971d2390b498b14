"""One spelling of characters that look alike, so that a finder needs to know only one.

Full-width and other decimal digits become 0-9, dashes "-", spaces " ", and Latin look-alikes of Cyrillic and Greek
Latin. Characters that are not seen (zero-width, directions, soft hyphens) are left out. Line breaks stay.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from strop.privacy.found import Found

HIDDEN = "\ue000"
"""Stands for a placeholder, whatever its number, while a text is searched: no finder takes it for a letter or digit."""
LOOK_ALIKES = dict(
    zip("АВЕКМНОРСТУХаеорсухіјѕԁԛԝΑΒΕΖΗΙΚΜΝΟΡΤΥΧοаɑ", "ABEKMHOPCTYXaeopcyxijsdqwABEZHIKMNOPTYXoaa", strict=True)
)


@dataclass(frozen=True, slots=True)
class Folded:
    """`text`, and for its character i the first `starts[i]` and the end `ends[i]` of what it stands for."""

    text: str
    starts: Sequence[int]
    ends: Sequence[int]

    def original(self, found: Found) -> Found:
        """What was found in `text`, as a span of the text that was folded."""
        return Found(found.kind, self.starts[found.start], self.ends[found.end - 1])


def folded(text: str, hidden: Sequence[tuple[int, int]] = ()) -> Folded:
    """The text in one spelling; every span of `hidden`, which are in order and apart, is one `HIDDEN`."""
    pieces, starts, ends = list[str](), list[int](), list[int]()
    position = 0
    for start, end in (*hidden, (len(text), len(text))):
        for i, character in enumerate(text[position:start], position):
            if one := _one(character):
                pieces.append(one)
                starts.append(i)
                ends.append(i + 1)
        if start < end:
            pieces.append(HIDDEN)
            starts.append(start)
            ends.append(end)
        position = end
    return Folded("".join(pieces), starts, ends)


@cache
def _one(character: str) -> str:
    """The one character that is read for this one, or none."""
    if character.isascii() or character == HIDDEN:
        return character
    category = unicodedata.category(character)
    if category in ("Cf", "Mn") and not unicodedata.combining(character):
        return ""
    if (digit := unicodedata.decimal(character, None)) is not None:
        return str(digit)
    if category == "Pd" or character in "−‒∙":
        return "-"
    if category == "Zs":
        return " "
    plain = unicodedata.normalize("NFKC", character)
    return LOOK_ALIKES.get(character, plain if len(plain) == 1 else character)
