"""Names of persons in English text, by capital letters and by how much likelier a word is in a name than elsewhere.

A word speaks for a name by the log of its share among given names or surnames (US Census of 1990, package names) over
its frequency in English (wordfreq), which tells Emma from Will. Behind words that lead to a name ("my name is", "Mr")
less is asked of it. Chinese names in Pinyin are known by their surnames and syllables.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib.resources import files

from strop.privacy.english_words import ABBREVIATIONS, COMPANIES, PINYIN_SURNAMES, PREFIXES, PROPER, VIETNAMESE_SURNAMES
from strop.privacy.found import Found
from strop.privacy.letters import LETTERS, LOWER, UPPER, bare

_U, _L = f"[{UPPER}]", f"[{LOWER}]"
_ENDS = rf"(?![{LETTERS}0-9_@/\\])(?!\.[{LETTERS}0-9])(?!-\d)"
WORD = re.compile(
    rf"(?<![{LETTERS}0-9_@./\\-])(?:(?:{_U}\.){{2,4}}(?= {_U})|{_U}(?:(?:['’]{_U})?{_L}+(?:['’-]{_U}?{_L}+|{_U}{_L}+)*"
    rf"(?:['’-]{_U}['’]{_U}{_L}+)?|{_U}{{1,14}}(?:['’-]{_U}{{2,14}})*|\.(?= {_U}))?{_ENDS})"
)
"""A word with a capital, such as Mary, O'Brien-Smith, Żółkowski, McDonald, SMITH, or J. or J.R. before another."""
SMALL = re.compile(rf"{_L}{{2,20}}(?:['’-]{_L}{{2,20}})?{_ENDS}")
TITLE = re.compile(
    r"(?:\b(?:Mr|Mrs|Ms|Miss|Mx|Dr|Prof|Professor|Sir|Madam|Doctor|Nurse|Officer|Aunt|Uncle|Mister)\b\.? )$"
)
LEADS = re.compile(
    r"(?:\b(?:my (?:full )?name(?:'s| is)|name(?: is)?:?|named|called|call me|I am|I[’']m|this is|it[’']s"
    r"|signed(?: by)?,?|"
    r"(?:kind |best |warm )?regards,|sincerely,|cheers,|thanks,|yours,|love,|dear|hi|hello|hey|contact(?: person)?:?"
    r"|recipient:?|attn:?|"
    r"customer:?|patient:?|cardholder:?|passenger:?|guest:?|holder:?|ask for|speak (?:to|with)|talk(?:ed)? (?:to|with)|"
    r"my (?:wife|husband|son|daughter|mother|father|mom|mum|dad|brother|sister|boss|colleague|friend|neighbou?r"
    r"|partner|landlord|doctor|dentist|manager|assistant|teacher)(?: is|'s name is|,)?)[ \n]\s?)$",
    re.IGNORECASE,
)
INTRODUCED = re.compile(r"\bmy (?:full )?name(?:['’]s| is)[ \n](?=\S)", re.IGNORECASE)
"""Behind this stands a name, whatever it looks like, unless it is a word of the language."""
SAYS = re.compile(
    r"(?:['’]s)? (?:asked|said|says|told|called|wrote|lives|agreed|replied|answered|speaking|promised|phoned)\b"
)
"""Words behind a name: only persons do this."""
SYLLABLE = (
    r"(?:[bpmf]?(?:a|o|ai|ei|ao|ou|an|en|ang|eng|i|ie|iao|iu|ian|in|ing|u)|[dtnl](?:a|e|ai|ei|ao|ou|an|en|ang|eng|ong"
    r"|i|ia|ie|iao|iu|ian|in|iang|ing|u|uo|ui|uan|un|ue|v)"
    r"|[gkh](?:a|e|ai|ei|ao|ou|an|en|ang|eng|ong|u|ua|uo|uai|ui|uan|un|uang)|[jqx](?:i|ia|ie|iao|iu|ian|in|iang|ing"
    r"|iong|u|ue|uan|un)"
    r"|(?:zh|ch|sh|r|z|c|s)(?:i|a|e|ai|ei|ao|ou|an|en|ang|eng|ong|u|ua|uo|uai|ui|uan|un|uang)"
    r"|y(?:a|e|ao|ou|an|in|ang|ing|ong|i|u|ue|uan|un|o)|w(?:a|o|ai|ei|an|en|ang|eng|u))"
)
PINYIN = re.compile(rf"{SYLLABLE}(?:['’-]?{SYLLABLE})?", re.IGNORECASE)
VIETNAMESE = re.compile(r"(?:[bcdghklmnprstvx]|[cgknpt]h|tr|ng|ngh|gi|qu)?[aeiouy]{1,3}(?:[cmnpt]|ch|ng|nh)?")
"""A syllable, without its marks."""
VIETNAMESE_MARKS = re.compile(r"[\u0309\u0323\u031bđ]|[\u0302\u0306][\u0300\u0301\u0303]")
LONE, PAIR = math.log(15.0), math.log(10.0)
"""How much likelier one word, or two together, must be in a name than elsewhere."""
SURE, UNCOMMON = math.log(30.0), -1.0
INTRODUCED_WORD = 1.0
"""How much evidence a word without a capital of its own needs where a name is to stand, in nats."""
RARE_GIVEN, RARE_SURNAME = 2e-6, 1e-6
"""The share of a name that the census does not list."""
RARE_WORD = 2e-7
"""The frequency of a word that English does not list."""


def english_names(text: str) -> Iterator[Found]:
    """Names with capitals: with a title, behind words that lead to one, and where the words themselves are names'."""
    yield from _introduced(text)
    for row in _rows(text):
        start, is_first = 0, True
        while start < len(row):
            if company := _company(text, row[start:]):
                start, is_first = start + company, False
                continue
            length = _length(text, row[start : start + 5], is_first)
            if length:
                yield Found("name", row[start].start(), row[start + length - 1].end())
            after = start + max(length, 1)
            is_first = is_first and all(word.group() in PROPER - PREFIXES for word in row[start:after])
            start = after


def _company(text: str, row: Sequence[re.Match[str]]) -> int:
    """How many of the words, from the first on, are the name of a firm; 0 if they begin none, or a person is meant."""
    words = [word.group().replace(".", "") for word in row[:4]]
    length = next((n for n in range(len(words), 1, -1) if "".join(words[:n]) in COMPANIES), 0)
    before = text[max(0, row[0].start() - 48) : row[0].start()] if length else ""
    return 0 if TITLE.search(before) or LEADS.search(before) else length


def _introduced(text: str) -> Iterator[Found]:
    """Names behind `INTRODUCED`: all words with capitals, also those that no list knows; of others two at most, if they
    are likelier names than words."""
    for match in INTRODUCED.finditer(text):
        row = next(_rows(text[match.end() : match.end() + 80]), [])
        shouted = [word for word in row if word.group().isupper() and len(word.group()) > 1]
        if row and row[0].start() == 0 and not shouted:
            whole = [n for n, word in enumerate(row[:4], 1) if _may_be(word.group()) or 1 < n == len(row)]
            length = next((n for n in range(5) if n + 1 not in whole), 0)
            ends = [word.end() for word in row[:length]]
        else:
            ends = _likely_ends(text[match.end() : match.end() + 80])
        if ends:
            yield Found("name", match.end(), match.end() + ends[-1])


def _may_be(word: str) -> bool:
    return word not in PROPER or bare(word) in _shares()[0]


def _likely_ends(text: str) -> list[int]:
    """Where words end with which a text begins, two at most, each of which is likelier a name than a word."""
    ends = list[int]()
    while len(ends) < 2:
        start = ends[-1] + 1 if ends else 0
        word = SMALL.match(text.lower(), start)
        if word is None or not _is_listed(word.group(), is_first=not ends):
            break
        ends.append(word.end())
        if text[word.end() : word.end() + 1] != " ":
            break
    return ends


def _is_listed(word: str, is_first: bool) -> bool:
    given, surnames = _shares()
    is_given = bare(word) in given and _given(word) > INTRODUCED_WORD
    return is_given or (not is_first and bare(word) in surnames and _surname(word) > INTRODUCED_WORD)


def _rows(text: str) -> Iterator[list[re.Match[str]]]:
    """Words with capitals that stand side by side, apart by one space."""
    row = list[re.Match[str]]()
    for word in WORD.finditer(text):
        if row and text[row[-1].end() : word.start()] != " ":
            yield row
            row = []
        row.append(word)
    if row:
        yield row


def _length(text: str, row: Sequence[re.Match[str]], is_first: bool) -> int:
    """How many of the words, from the first on, are the name of a person; 0 if they begin none."""
    words = [word.group() for word in row[:4]]
    if words[0] in PROPER or (words[0].rstrip(".") in PROPER and len(words[0]) > 2):
        return 0
    if words[0] in ABBREVIATIONS or "".join(words[:2]) in ABBREVIATIONS:
        return 0
    whole = next((n for n, word in enumerate(words) if word in PROPER), len(words))
    before = text[max(0, row[0].start() - 48) : row[0].start()]
    if TITLE.search(before) and not (words[0].isupper() and _surname(words[0]) < 0):
        return min(whole, 3)
    if pinyin := _pinyin(words[:whole]):
        return pinyin
    if _is_vietnamese(words[:whole]):
        return whole
    if whole == 1 < len(words) and _given(words[0]) > SURE and _surname(words[1]) > -2.5:
        return 2
    for length in range(min(whole, 3), 1, -1):
        first, *middle, last = words[:length]
        if all(_is_middle(word) for word in middle) and _speaks(first, last) > PAIR:
            return length
        if words[:length][-2].endswith(".") and _initials(words[: length - 1]) > 1 and _surname(last) > UNCOMMON:
            return length
    if any(word.isupper() and len(word) > 1 for word in words):
        return 0
    is_led, does = bool(LEADS.search(before)), bool(SAYS.match(text, row[min(whole, len(row)) - 1].end()))
    if (
        (is_led or does)
        and whole == len(row) <= 3
        and all(max(_given(word), _surname(word)) > UNCOMMON for word in words)
    ):
        return whole
    needed = LONE + (1.2 if _starts_sentence(before) else 0.0) - 2.0 * (is_led + does)
    return int(is_first and whole == 1 == len(row) and _given(words[0]) > needed)


def _starts_sentence(before: str) -> bool:
    return not before.strip() or before.rstrip(" ")[-1] in '.!?:\n"“'


def _is_middle(word: str) -> bool:
    return word.endswith(".") or len(word) == 1 or _given(word) > 0 or _surname(word) > 0


def _is_vietnamese(words: Sequence[str]) -> bool:
    """A surname and words of one syllable, with marks that no other language has."""
    if len(words) < 2 or bare(words[0]) not in VIETNAMESE_SURNAMES:
        return False
    is_marked = VIETNAMESE_MARKS.search(unicodedata.normalize("NFD", " ".join(words).lower()))
    return bool(is_marked) and all(VIETNAMESE.fullmatch(bare(word)) for word in words[1:])


def _initials(words: Sequence[str]) -> int:
    """How many there are, if they are nothing else."""
    return sum(word.count(".") for word in words) if all(word.endswith(".") for word in words) else 0


def _speaks(first: str, last: str) -> float:
    """The evidence, in nats, for a given name and a surname side by side; less if neither is listed."""
    if last.endswith(".") or len(last) == 1:
        return -math.inf
    given, surnames = _shares()
    if first.endswith(".") or len(first) == 1:
        return _surname(last) + 1.0 if bare(last) in surnames else -math.inf
    if bare(first) not in given and bare(last) not in surnames:
        return -math.inf if first.isupper() or last.isupper() else _given(first) + _surname(last) - 1.5
    return _given(first) + _surname(last)


def _pinyin(words: Sequence[str]) -> int:
    """2 if the first two words are a Chinese surname and a given name in Pinyin, in either order."""
    if len(words) < 2 or not all(PINYIN.fullmatch(word) for word in words[:2]):
        return 0
    first, second = (word.lower() for word in words[:2])
    return 2 if first in PINYIN_SURNAMES or second in PINYIN_SURNAMES else 0


def _given(word: str) -> float:
    return _evidence(word, _shares()[0], RARE_GIVEN)


def _surname(word: str) -> float:
    return max(_evidence(part, _shares()[1], RARE_SURNAME) for part in word.split("-"))


def _evidence(word: str, shares: Mapping[str, float], rare: float) -> float:
    word = unicodedata.normalize("NFC", word.lower().replace("’", "'"))
    share = max(shares.get(form, rare) for form in (word, bare(word), word.replace("'", "")))
    frequency = max(_frequencies().get(form, 0.0) for form in (word, bare(word)))  # the lists know no marks
    return math.log(share / max(frequency, RARE_WORD))


@cache
def _frequencies() -> dict[str, float]:
    from wordfreq import get_frequency_dict

    return dict(get_frequency_dict("en", "large"))


@cache
def _shares() -> tuple[dict[str, float], dict[str, float]]:
    """The share of people with a given name, women and men alike, and with a surname: of all that the census lists."""
    given, surnames = dict[str, float](), dict[str, float]()
    for name, shares, weight in (("female.first", given, 0.5), ("male.first", given, 0.5), ("all.last", surnames, 1.0)):
        for line in files("names").joinpath(f"dist.{name}").read_text(encoding="ascii").splitlines():
            word, percent, *_ = line.split()
            word = word.lower()
            shares[word] = shares.get(word, 0.0) + weight * max(float(percent), 5e-4) / 100
    return given, surnames
