"""Whether a name stands by itself, or is part of a longer one: `user-1` is not `user-10`."""

from __future__ import annotations

import re

_BEFORE = re.compile(r"(?:[\w.-]|\w@)\Z")
"""The end of what comes before a name that is a part; a mention, `@ann`, is whole."""
_AFTER = re.compile(r"[\w@-]|\.\w")
"""What comes after a name that is a part; a full stop ends a sentence."""
_BESIDE = 2
"""So many characters on each side tell."""
MARGIN = 4 * _BESIDE
"""These in bytes, at most."""


def is_whole(name: str, encoding: str, data: bytes, at: int, end: int) -> bool:
    """Whether a name, which stands in bytes of this encoding from `at` to `end`, stands there by itself."""
    before = data[max(at - MARGIN, 0) : at].decode(encoding, "ignore")[-_BESIDE:]
    return _is_whole(before, name, data[end : end + MARGIN].decode(encoding, "ignore")[:_BESIDE])


def _is_whole(before: str, name: str, after: str) -> bool:
    """Between letters of ASCII and others a name ends, with no space between them."""
    begins = _BEFORE.search(before) is None or _is_wide(before[-1]) != _is_wide(name[0])
    ends = _AFTER.match(after) is None or _is_wide(after[0]) != _is_wide(name[-1])
    return begins and ends


def _is_wide(letter: str) -> bool:
    """Whether it is beyond ASCII, in which bytes of GBK may be read as any letter."""
    return not letter.isascii()
