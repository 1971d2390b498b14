"""Texts without the personal data in them."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from importlib.util import find_spec

from strop.privacy.addresses import addresses
from strop.privacy.cards import cards, ibans
from strop.privacy.chinese_names import chinese_names
from strop.privacy.emails import accounts, emails
from strop.privacy.english_names import english_names
from strop.privacy.folded import folded
from strop.privacy.found import KINDS, Finder, Found, Kind, Masked
from strop.privacy.identity import identities, passports
from strop.privacy.letters import is_of_word
from strop.privacy.phones import phones
from strop.privacy.repeated import repeated

FINDERS: tuple[Finder, ...] = (
    emails,
    identities,
    cards,
    ibans,
    passports,
    accounts,
    phones,
    addresses,
    chinese_names,
    english_names,
)
PACKAGES = {"phonenumbers": "phonenumbers", "stdnum": "python-stdnum", "names": "names", "wordfreq": "wordfreq"}
"""The modules that finders need, and the packages that hold them."""
ROUNDS = 8
PLACEHOLDER = re.compile(rf"<({'|'.join(KINDS).upper()}) ([1-9][0-9]{{0,8}})>")


class Masker:
    """Masks personal data in English and Chinese texts: those of one conversation, so that a person keeps their number.

    The first person's name becomes `<NAME 1>`, the next one's `<NAME 2>`; a part of a name counts as the same person.
    Other kinds are counted alike: `<PHONE 1>`, `<EMAIL 1>`. Numbers that stand in the texts already are not given to
    others. Masking what is masked changes nothing, unless `ROUNDS` searches do not find everything. Not for several
    threads at once.
    """

    def __init__(self, finders: Sequence[Finder] = FINDERS) -> None:
        """Raises ModuleNotFoundError, with what to install, if a package is missing: nothing passes unsearched."""
        missing = [package for module, package in PACKAGES.items() if find_spec(module) is None]
        if missing:
            raise ModuleNotFoundError(
                f'Masker needs the packages {", ".join(missing)}: pip install "strop[privacy]". '
                "Without them personal data is not found, so no text is let through."
            )
        self._finders = tuple(finders)
        self._numbers = dict[tuple[Kind, str], int]()
        self._last = Counter[str]()

    def masked(self, text: str) -> Masked:
        """The text with placeholders, and what they stand for.

        It is searched until nothing more is found, `ROUNDS` times at most. Raises TypeError for what is no text.
        """
        if not isinstance(text, str):
            raise TypeError(f"masked({type(text).__name__}): it is a text; of a record mask every text that it holds.")
        standing = [match.span() for match in PLACEHOLDER.finditer(text)]
        for match in PLACEHOLDER.finditer(text):
            self._last[match[1]] = max(self._last[match[1]], int(match[2]))
        found = list[Found]()
        for _ in range(ROUNDS):
            more = self._search(text, sorted([*standing, *((one.start, one.end) for one in found)]))
            found = sorted([*found, *more], key=lambda one: one.start)
            if not more:
                break
        return Masked(self._replaced(text, found), tuple(found))

    def _search(self, text: str, hidden: Sequence[tuple[int, int]]) -> list[Found]:
        plain = folded(text, hidden)
        found = apart([one for find in self._finders for one in find(plain.text)])
        return [plain.original(one) for one in apart([*found, *repeated(plain.text, found)])]

    def _replaced(self, text: str, found: Sequence[Found]) -> str:
        pieces, position = list[str](), 0
        for one in found:
            number = self._number(one.kind, folded(text[one.start : one.end]).text)
            pieces += [text[position : one.start], f"<{one.kind.upper()} {number}>"]
            position = one.end
        return "".join([*pieces, text[position:]])

    def _number(self, kind: Kind, said: str) -> int:
        """The number of what is said: one that it, or for a name a part of it, has already, or the next one."""
        keys = list(dict.fromkeys(_keys(kind, said)))
        number = next((self._numbers[kind, key] for key in keys if (kind, key) in self._numbers), None)
        if number is None:
            self._last[kind.upper()] += 1
            number = self._last[kind.upper()]
        for key in keys:
            self._numbers.setdefault((kind, key), number)
        return number


def apart(found: Iterable[Found]) -> list[Found]:
    """What was found in order and without overlaps: of two that overlap the longer one stays, else the first."""
    kept = list[Found]()
    for one in sorted(found, key=lambda one: (one.start, -one.end)):
        if not kept or kept[-1].end <= one.start:
            kept.append(one)
        elif one.end - one.start > kept[-1].end - kept[-1].start:
            kept[-1] = one
    return kept


def _keys(kind: Kind, said: str) -> list[str]:
    """What is the same if it is said again: digits and letters; of a name also its parts."""
    said = unicodedata.normalize("NFC", said)
    whole = re.sub(r"[\W_]+", "", said).lower()
    if kind != "name":
        return [re.sub(r"^(?:00)?86(?=1\d{10}$)", "", whole) if kind == "phone" else whole]
    if is_of_word(said[0]):
        return [whole, *(part for part in re.split(r"[^\w]+", said.lower()) if len(part) > 1)]
    return [whole, *([whole[1:]] if len(whole) == 3 else [])]
