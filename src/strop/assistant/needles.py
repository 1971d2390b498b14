"""What is searched for to find what people wrote: the lines of each text, and the ids under which it is known.

Lines are taken as they are, also between placeholders, since a copy from elsewhere may hold what was masked, and in the
encodings of files. A line of a file is also read as what it says once its escapes are read. Lines that are shorter than
`FEWEST_BYTES` are what anybody may write.
"""

from __future__ import annotations

import html
import json
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from urllib.parse import unquote, unquote_plus

FEWEST_BYTES, FEWEST_OF_ID = 12, 6
"""Of a line, and of an id or a name."""
_CUT = re.compile(r"<[A-Z]+ [1-9][0-9]*>|[\r\n]+")
"""A placeholder, or the end of a line."""
ENCODINGS = ("utf-8", "utf-16-le", "utf-16-be", "gb18030")
"""Those of which a file that is none can be told, the likeliest first."""
OLD_ENCODINGS = ("big5", "cp1252")
"""In which nearly all bytes are some text."""
_ERRORS = {"gb18030": "ignore", "big5": "strict", "cp1252": "strict"}
"""Half a surrogate pair has no bytes in GB 18030, and many characters have none in Big5 and Windows-1252."""
MARKS = re.compile(r"[\\%&]|[^\x00-\x7f]")
"""Without one of these a line says what it looks like."""
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|([\"'\\/bfnrt]))")
_SHORT = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_DEPTH = 2
"""So often escapes are read: JSON stands in JSON."""


@dataclass(frozen=True)
class Needles:
    """What is searched for, as texts, and in all encodings."""

    texts: tuple[str, ...]

    @cached_property
    def all(self) -> tuple[bytes, ...]:
        """The texts as bytes, in each encoding that has all of their characters."""
        found = (bytes_in(encoding, text) for text in self.texts for encoding in (*ENCODINGS, *OLD_ENCODINGS))
        return tuple(dict.fromkeys(data for data in found if data))

    @cached_property
    def longest(self) -> int:
        """In bytes."""
        return max(map(len, self.all), default=0)

    def are_in_bytes(self, data: bytes) -> bool:
        """Whether one of them stands in these bytes as it is."""
        return any(needle in data for needle in self.all)

    def are_in_line(self, line: str) -> bool:
        """Whether one of them stands in a line, as it is or behind escapes."""
        return any(text in one for one in readings(line) for text in self.texts)


def needles_of(texts: Iterable[str], ids: Iterable[str], others: Iterable[str]) -> Needles:
    """What to search for: these texts but for lines that others wrote too, and these ids."""
    common = {line for text in others for line in lines_of(text)}
    wanted = [line for text in texts for line in lines_of(text) if line not in common]
    long = [line for line in wanted if _bytes(line) >= FEWEST_BYTES] + [id for id in ids if _bytes(id) >= FEWEST_OF_ID]
    return Needles(tuple(dict.fromkeys(form for one in long for form in _forms(one))))


def lines_of(text: str) -> list[str]:
    """The lines of a text, cut where something is masked, without spaces around."""
    return [line.strip() for line in _CUT.split(text) if line.strip()]


def bytes_in(encoding: str, text: str) -> bytes:
    """A text in an encoding; empty if that has not all of its characters."""
    try:
        return text.encode(encoding, _ERRORS.get(encoding, "surrogatepass"))
    except UnicodeEncodeError:
        return b""


def readings(line: str) -> Iterator[str]:
    """What a line says: as it is, and once the escapes of JSON, HTML or a web address in it are read."""
    known, new = {line}, [line]
    yield line
    if not MARKS.search(line):
        return
    for _ in range(_DEPTH):
        read = dict.fromkeys(reader(one) for one in new for reader in _READERS)
        new = [one for one in read if one not in known]
        known.update(new)
        yield from new


def _unescaped(text: str) -> str:
    """Without the escapes of JSON, and of Python's repr."""
    read = _ESCAPE.sub(_meant, text) if "\\" in text else text
    return read.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _meant(match: re.Match[str]) -> str:
    long, short, letter = match.groups()
    return _SHORT.get(letter, letter) if letter else chr(int(long or short, 16))


def _composed(text: str) -> str:
    """With letters and their accents in one, as nearly all write them; some file systems take them apart."""
    return unicodedata.normalize("NFC", text)


_READERS: tuple[Callable[[str], str], ...] = (_unescaped, html.unescape, unquote, unquote_plus, _composed)


def _bytes(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))


def _forms(text: str) -> Iterator[str]:
    """As it is, and as JSON writes it, with and without escapes; with accents of their own and without."""
    for form in dict.fromkeys((text, _composed(text))):
        yield form
        yield json.dumps(form)[1:-1]
        yield json.dumps(form, ensure_ascii=False)[1:-1]
