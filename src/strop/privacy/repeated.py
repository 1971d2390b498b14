"""What was found once is personal data wherever it stands."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from strop.privacy.found import Found, Kind
from strop.privacy.letters import is_of_word


def repeated(text: str, found: Sequence[Found]) -> Iterator[Found]:
    """Where else in the text the same stands, but not inside a longer word or number; the parts of a name too."""
    known = dict[str, Kind]()
    for one in found:
        said = text[one.start : one.end]
        known[said] = one.kind
        if one.kind == "name" and is_of_word(said[0]):
            known |= {part: one.kind for part in said.split(" ") if len(part) > 2 and part.isalpha()}
    lengths = sorted({len(said) for said in known}, reverse=True)
    for start in range(len(text)):
        if _is_inside(text, start):
            continue
        for length in lengths:
            said = text[start : start + length]
            kind = known.get(said) if len(said) == length else None
            if kind is not None and not _is_inside(text, start + length):
                yield Found(kind, start, start + length)
                break


def _is_inside(text: str, position: int) -> bool:
    """Whether letters or digits of one word stand on both sides. Chinese is written without gaps: there nothing is."""
    return 0 < position < len(text) and is_of_word(text[position - 1]) and is_of_word(text[position])
