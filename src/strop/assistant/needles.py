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
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from urllib.parse import unquote, unquote_plus

from strop.assistant.grams import Grams
from strop.assistant.names_apart import MARGIN, is_whole

FEWEST_BYTES, FEWEST_OF_ID = 12, 6
"""Of a line, and of an id or a name."""
_RANDOM = re.compile("[0-9a-f]{32}")
"""What strop gives as an id, and hashes of names."""
_CUT = re.compile(r"<[A-Z]+ [1-9][0-9]*>|[\r\n]+")
"""A placeholder, or the end of a line."""
ENCODINGS = ("utf-8", "utf-16-le", "utf-16-be", "gb18030")
"""Those of which a file that is none can be told, the likeliest first."""
OLD_ENCODINGS = ("big5", "cp1252")
"""In which nearly all bytes are some text."""
_ERRORS = {"gb18030": "ignore", "big5": "strict", "cp1252": "strict"}
"""Half a surrogate pair has no bytes in GB 18030, and many characters have none in Big5 and Windows-1252."""
_ESCAPE = re.compile(r"\\(?:u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}|[\"'\\/bfnrt])")
_SHORT = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_DEPTH = 2
"""So often escapes are read: JSON stands in JSON."""


@dataclass(frozen=True)
class Needles:
    """What is searched for.

    lines  of texts, which others may have written too
    ids    that are long and random: they stand for one thing wherever they stand
    names  which may be part of another's: they count between characters that are none of a name
    """

    lines: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()
    names: tuple[str, ...] = ()

    @cached_property
    def all(self) -> Mapping[bytes, tuple[str, str] | None]:
        """All of them as bytes, in each encoding that has all of their characters; names with themselves and it."""
        known = dict[bytes, tuple[str, str] | None]()
        for encoding in (*ENCODINGS, *OLD_ENCODINGS):
            known |= {bytes_in(encoding, text): None for text in (*self.lines, *self.ids)}
            for name in self.names:
                known.setdefault(bytes_in(encoding, name), (name, encoding))
        known.pop(b"", None)
        return known

    @cached_property
    def longest(self) -> int:
        """In bytes, with what tells whether a name is whole."""
        return max(map(len, self.all), default=0) + 2 * MARGIN

    @cached_property
    def _in_all(self) -> Grams:
        return Grams.of(self.all)

    @cached_property
    def _in_utf8(self) -> Grams:
        return Grams.of(filter(None, (bytes_in("utf-8", text) for text in (*self.lines, *self.ids, *self.names))))

    def are_in_bytes(self, data: bytes, *, begins: bool = True, ends: bool = True) -> bool:
        """Whether one of them stands in these bytes as it is; `begins` and `ends`: whether the data do so, or go on
        before or after. Where they go on, names within `MARGIN` of there are not looked at."""
        return any(True for _ in self._standing(self._in_all, data, begins, ends))

    def _standing(self, grams: Grams, data: bytes, begins: bool = True, ends: bool = True) -> Iterator[bytes]:
        first, last = 0 if begins else MARGIN, len(data) if ends else len(data) - MARGIN
        for at, needle in grams.places(data):
            name, end = self.all[needle], at + len(needle)
            if name is None or (first <= at and end <= last and is_whole(*name, data, at, end)):
                yield needle

    def are_in_pieces(self, pieces: Iterable[bytes]) -> bool:
        """Whether one of them stands in these bytes, which come piece by piece."""
        data, begins = b"", True
        for piece in pieces:
            data += piece
            if self.are_in_bytes(data, begins=begins, ends=False):
                return True
            begins = begins and len(data) <= self.longest
            data = data[-self.longest :]
        return self.are_in_bytes(data, begins=begins)

    def are_in_text(self, text: str) -> bool:
        """Whether one of them stands in a text, as it is or behind escapes."""
        return any(True for _ in self._read_in(readings(text)))

    def are_behind_escapes(self, text: str) -> bool:
        """Whether one of them stands in a text behind escapes."""
        return any(True for _ in self._read_in(readings_of_escapes(text)))

    def lines_in(self, line: str) -> set[str]:
        """Which lines stand in a line of a file."""
        return set(self._read_in(readings(line))).intersection(self.lines)

    def are_named_in(self, line: str) -> bool:
        """Whether an id or a name stands in a line: it is theirs, whatever it says."""
        return not set(self._read_in(readings(line))).isdisjoint([*self.ids, *self.names])

    def _read_in(self, texts: Iterable[str]) -> Iterator[str]:
        for one in texts:
            for needle in self._standing(self._in_utf8, bytes_in("utf-8", one)):
                yield needle.decode("utf-8", "surrogatepass")


def needles_of(texts: Iterable[str], ids: Iterable[str], others: Iterable[str]) -> Needles:
    """What to search for: the lines of these texts but for those that stand in what others wrote, and these ids."""
    ids, common = [id for id in ids if _bytes(id) >= FEWEST_OF_ID], "\n".join(others)
    wanted = dict.fromkeys(line for text in texts for line in lines_of(text) if _bytes(line) >= FEWEST_BYTES)
    return Needles(
        _formed(line for line in wanted if line not in common),
        _formed(id for id in ids if _RANDOM.search(id)),
        _formed(id for id in ids if not _RANDOM.search(id)),
    )


def lines_of(text: str) -> list[str]:
    """The lines of a text, cut where something is masked, without spaces around."""
    return [line.strip() for line in _CUT.split(text) if line.strip()]


def bytes_in(encoding: str, text: str) -> bytes:
    """A text in an encoding; empty if that has not all of its characters."""
    try:
        return text.encode(encoding, _ERRORS.get(encoding, "surrogatepass"))
    except UnicodeEncodeError:
        return b""


def readings(text: str) -> Iterator[str]:
    """What a text says: as it is, and once the escapes of JSON, HTML or a web address in its lines are read."""
    yield text
    yield from readings_of_escapes(text)


def readings_of_escapes(text: str, depth: int = _DEPTH) -> Iterator[str]:
    """What the lines of a text say that have escapes, once these are read: each kind of escape in the lines with it."""
    for mark, read in _READERS.items():
        lines = _lines_with(mark, text)
        if (one := read(lines)) != lines:
            yield one
            if depth > 1:
                yield from readings_of_escapes(one, depth - 1)
    if not text.isascii() and (one := _composed(text)) != text:
        yield one


def _lines_with(mark: str, text: str) -> str:
    """The lines of a text that have a mark."""
    found, end = list[str](), 0
    while (at := text.find(mark, end)) >= 0:
        begin, end = text.rfind("\n", end, at) + 1 or end, text.find("\n", at) + 1 or len(text)
        found.append(text[begin:end])
    return "".join(found)


def _unescaped(text: str) -> str:
    """Without the escapes of JSON, and of Python's repr."""
    read = _ESCAPE.sub(lambda found: _meant(found[0]), text)
    return read.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


@cache
def _meant(escape: str) -> str:
    kind = escape[1]
    return chr(int(escape[2:], 16)) if kind in "ux" else _SHORT.get(kind, kind)


def _composed(text: str) -> str:
    """With letters and their accents in one, as nearly all write them; some file systems take them apart."""
    return unicodedata.normalize("NFC", text)


_READERS: Mapping[str, Callable[[str], str]] = {
    "\\": _unescaped,
    "&": html.unescape,
    "%": unquote,
    "+": unquote_plus,
}
"""What reads the escapes that begin with a mark."""


def _bytes(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))


def _formed(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(form for text in texts for form in _forms(text)))


def _forms(text: str) -> Iterator[str]:
    """As it is, and as JSON writes it, with and without escapes; with accents of their own and without."""
    for form in dict.fromkeys((text, _composed(text))):
        yield form
        yield json.dumps(form)[1:-1]
        yield json.dumps(form, ensure_ascii=False)[1:-1]
