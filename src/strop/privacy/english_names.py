"""Names of persons in English text, by capital letters and by how much likelier a word is in a name than elsewhere.

A word speaks for a name by the log of its share among given names or surnames (US Census of 1990, package names) over
its frequency in English (wordfreq), which tells Emma from Will. Behind words that lead to a name ("my name is", "Mr")
less is asked of it. Chinese names in Pinyin are known by their surnames and syllables.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib.resources import files

from strop.privacy.english_words import PINYIN_SURNAMES, PREFIXES, PROPER
from strop.privacy.found import Found

WORD = re.compile(
    r"(?<![A-Za-zÀ-ÿ0-9_@./\\-])[A-ZÀ-Þ](?:[a-zà-ÿ]+(?:['’-][A-ZÀ-Þ]?[a-zà-ÿ]+|[A-ZÀ-Þ][a-zà-ÿ]+)*|['’][A-Z][a-z]+"
    r"|[A-Z]{1,14}|\.(?= [A-Z]))?(?![A-Za-zÀ-ÿ0-9_@/\\])(?!\.[A-Za-z0-9])(?!-\d)"
)
"""A word with a capital, such as Mary, O'Neil, Smith-Jones, McDonald, SMITH, or J. before another."""
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
LONE, PAIR = math.log(15.0), math.log(10.0)
"""How much likelier one word, or two together, must be in a name than elsewhere."""
SURE, UNCOMMON = math.log(30.0), -1.0
RARE_GIVEN, RARE_SURNAME = 2e-6, 1e-6
"""The share of a name that the census does not list."""
RARE_WORD = 2e-7
"""The frequency of a word that English does not list."""


def english_names(text: str) -> Iterator[Found]:
    """Names with capitals: with a title, behind words that lead to one, and where the words themselves are names'."""
    for row in _rows(text):
        start = 0
        while start < len(row):
            length = _length(text, row[start:], is_first={word.group() for word in row[:start]} <= PROPER - PREFIXES)
            if length:
                yield Found("name", row[start].start(), row[start + length - 1].end())
            start += max(length, 1)


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
    whole = next((n for n, word in enumerate(words) if word in PROPER), len(words))
    before = text[max(0, row[0].start() - 48) : row[0].start()]
    if TITLE.search(before) and not (words[0].isupper() and _surname(words[0]) < 0):
        return min(whole, 3)
    if pinyin := _pinyin(words[:whole]):
        return pinyin
    if whole == 1 < len(words) and _given(words[0]) > SURE and _surname(words[1]) > -2.5:
        return 2
    for length in range(min(whole, 3), 1, -1):
        first, *middle, last = words[:length]
        if all(_is_middle(word) for word in middle) and _speaks(first, last) > PAIR:
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


def _speaks(first: str, last: str) -> float:
    """The evidence, in nats, for a given name and a surname side by side; less if neither is listed."""
    if last.endswith(".") or len(last) == 1:
        return -math.inf
    if first.endswith(".") or len(first) == 1:
        return _surname(last) + 1.0 if last.lower() in _shares()[1] else -math.inf
    given, surnames = _shares()
    if first.lower() not in given and last.lower() not in surnames:
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
    word = word.lower().replace("’", "'")
    share = max(shares.get(word, rare), shares.get(word.replace("'", ""), rare))
    return math.log(share / max(_frequencies().get(word, 0.0), RARE_WORD))


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
