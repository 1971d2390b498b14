"""Telephone numbers: what Google's phonenumbers takes for one in China, the United States or the United Kingdom, or
behind a + anywhere, and Chinese mobile numbers in whatever groups. Numbers that are free to call are no person's."""

from __future__ import annotations

import re
from collections.abc import Iterator

from strop.privacy.found import Found

MOBILE = re.compile(
    r"(?<![A-Za-z0-9])(?<!\d[.,/-])(?:(?:\+|00)?\(?86\)?[ -]?)?"
    r"1[3-9](?:\d{9}|\d[ .\n-]\d{4}[ .\n-]\d{4}|\d[ .\n-]\d{8}|\d\d[ .\n-]\d{3}[ .\n-]\d{4}|\d{5}[ \n-]\d{4}"
    r"|\d\d[ -]\d{4}[ -]\d{3}|\d{3}[ -]\d{3}[ -]\d{3})"
    r"(?![A-Za-z0-9])(?![.,/-]\d)"
)
APART = re.compile(r"(?<!\d )(?<![A-Za-z0-9])1(?P<gap>[ .-])[3-9](?:(?P=gap)\d){9}(?!.?\d)")
"""1 3 8 1 2 3 4 5 6 7 8"""
IN_WORDS = re.compile(
    r"(?<![〇零一二三四五六七八九幺])[一幺][三四五六七八九][〇零一二三四五六七八九幺]{9}(?![〇零一二三四五六七八九幺十百千万])"
)
NUMERALS = "〇零一二三四五六七八九幺"
LAND_IN_WORDS = re.compile(
    rf"(?<![{NUMERALS}])[〇零][{NUMERALS}]{{2,3}}[ -]?[{NUMERALS}]{{7,8}}(?![{NUMERALS}十百千万])"
)
EXTENSION = r"(?:(?: ?(?:ext\.?|x|转|轉) ?)\d{1,6})?"
_DIGITS = str.maketrans(NUMERALS, "001234567891")
SHAPES = (
    (re.compile(r"\+\d{1,3}(?:[ .()\n-]{0,2}\d){6,12}" + EXTENSION), "ZZ"),
    (re.compile(r"(?:1[ .-])?(?:\(\d{3}\)[ -]?|\d{3}[ .\n-])\d{3}[ .\n-]\d{4}" + EXTENSION), "US"),
    (re.compile(r"(?:\(0\d{2,4}\) ?|0\d{2,4}[ -])\d{3,4}[ -]?\d{3,4}(?:[ -]\d{3,4})?" + EXTENSION), "GB"),
    (re.compile(r"(?:\(0\d{2,3}\) ?|0\d{2,3}[ \n-])\d{3,4}[ -]?\d{4}" + EXTENSION), "CN"),
)
"""How numbers are written, and in which region (ZZ: behind a +) phonenumbers is asked whether one is given out."""
BARE = re.compile(r"\d{10,12}")
LOCAL = re.compile(
    r"(?:电话|座机|固话|家电|分机|致电|[Tt]el(?:ephone)?|[Pp]hone)(?:号码|号| number)?\s?(?:是|为|is"
    r"|[:：.])?\s?([2-8]\d{2,3}[ -]?\d{4})(?![A-Za-z0-9])(?![ -]\d)"
)
"""A number without its area, behind a word that says what it is."""
EDGES = re.compile(r"[A-Za-z0-9#=/.,_-]"), re.compile(r"[A-Za-z0-9_]|[-.,/]\d")
"""What a number does not stand behind, nor before."""
CALLED = re.compile(
    r"phone|\btel\b|\bcell\b|mobile|\bcall\b|\btext\b|reach|contact|\bring\b|whatsapp|电话|手机|座机|联系|致电|号码"
    r"|拨打|传真|\bfax\b",
    re.IGNORECASE,
)


def phones(text: str) -> Iterator[Found]:
    """Valid telephone numbers. Digits without +, gaps or area in brackets count if something before says so."""
    for pattern in (MOBILE, APART, IN_WORDS):
        for match in pattern.finditer(text):
            yield Found("phone", *match.span())
    for match in LAND_IN_WORDS.finditer(text):
        if _is_given_out(match.group().translate(_DIGITS), "CN"):
            yield Found("phone", *match.span())
    for match in LOCAL.finditer(text):
        yield Found("phone", *match.span(1))
    for shape, region in SHAPES:
        yield from _valid(text, shape, region)
    for region in ("CN", "US", "GB"):
        for found in _valid(text, BARE, region):
            if CALLED.search(text, max(0, found.start - 32), found.start):
                yield found


def _valid(text: str, shape: re.Pattern[str], region: str) -> Iterator[Found]:
    """What is written like this, stands alone, and is a number that is given out and not free to call."""
    behind, before = EDGES
    for match in shape.finditer(text):
        if match.start() and behind.match(text, match.start() - 1):
            continue
        for end in _ends(match):
            if not before.match(text, end) and _is_given_out(text[match.start() : end], region):
                yield Found("phone", match.start(), end)
                break


def _ends(match: re.Match[str]) -> list[int]:
    """The end of what matched, then without its last group, and the one before: it may run into another number."""
    gaps = [match.start() + gap.start() for gap in re.finditer(r"(?<=\d)[ .\n-]", match.group())]
    return [match.end(), *gaps[:-4:-1]]


def _is_given_out(number: str, region: str) -> bool:
    from phonenumbers import NumberParseException, PhoneNumberType, is_valid_number, number_type, parse

    free = (PhoneNumberType.TOLL_FREE, PhoneNumberType.PREMIUM_RATE, PhoneNumberType.UAN, PhoneNumberType.SHARED_COST)
    try:
        parsed = parse(number.replace("\n", " ").replace("转", "x").replace("轉", "x"), region)
    except NumberParseException:  # how the package says that it is no number
        return False
    return is_valid_number(parsed) and number_type(parsed) not in free
