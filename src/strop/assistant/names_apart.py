"""Whether a name stands by itself, or is part of a longer one: `user-1` is not `user-10`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import AnyStr

_BEFORE = re.compile(r"(?:[\w.-]|\w@)\Z")
"""The end of what comes before a name that is a part; a mention, `@ann`, is whole."""
_AFTER = re.compile(r"[\w@-]|\.\w")
"""What comes after a name that is a part; a full stop ends a sentence."""
_BESIDE = 2
"""So many characters on each side tell."""
MARGIN = 4 * _BESIDE
"""These in bytes, at most."""


def is_alone(name: str, text: str) -> bool:
    """Whether a name stands in a text by itself."""
    long = len(name)
    return any(
        _is_whole(text[max(at - _BESIDE, 0) : at], name, text[at + long : at + long + _BESIDE])
        for at in _places(name, text)
    )


def is_alone_in_bytes(
    needle: bytes, name: str, encoding: str, data: bytes, *, begins: bool = True, ends: bool = True
) -> bool:
    """Whether it stands so in bytes; `needle` is the name in this encoding. Where these go on before or after, what
    stands within `MARGIN` of there is not looked at."""
    first, last = 0 if begins else MARGIN, len(data) if ends else len(data) - MARGIN
    for at in _places(needle, data):
        end = at + len(needle)
        if at < first or end > last:
            continue
        before, after = data[max(at - MARGIN, 0) : at], data[end : end + MARGIN]
        if _is_whole(before.decode(encoding, "ignore")[-_BESIDE:], name, after.decode(encoding, "ignore")[:_BESIDE]):
            return True
    return False


def _is_whole(before: str, name: str, after: str) -> bool:
    """Between Latin and Chinese letters a name ends, with no space between them."""
    begins = _BEFORE.search(before) is None or _is_wide(before[-1]) != _is_wide(name[0])
    ends = _AFTER.match(after) is None or _is_wide(after[0]) != _is_wide(name[-1])
    return begins and ends


def _is_wide(letter: str) -> bool:
    """Whether it is Chinese, Japanese or Korean."""
    return letter >= "\u2e80"


def _places(what: AnyStr, data: AnyStr) -> Iterator[int]:
    at = data.find(what)
    while at >= 0:
        yield at
        at = data.find(what, at + 1)
