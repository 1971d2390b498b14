"""Numbers of identity cards and passports.

Chinese identity numbers have 6 digits of a county, the day of birth, 3 digits, and a check digit (GB 11643-1999,
ISO 7064 MOD 11-2); those from before 1999 have a year of two digits and no check digit. What has no check digit and no
telling shape counts only behind a word that says what it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date

from strop.privacy.digits import digits
from strop.privacy.found import Found

PROVINCE = re.compile(r"1[1-5]|2[1-3]|3[1-7]|4[1-6]|5[0-4]|6[1-5]|71|8[1-3]")
"""The first two digits: provinces as in GB/T 2260."""
PASSPORT = re.compile(
    r"(?:passport|护照|護照)[^\n]{0,24}?(?<![A-Za-z0-9])([A-Za-z]{1,2}\d{6,8}|\d{9})(?![A-Za-z0-9])", re.IGNORECASE
)
SOCIAL = re.compile(
    r"(?:\bSSN|social security)[^\n]{0,24}?(?<![A-Za-z0-9])((?!000|666|9)\d{3}[ -]?\d{2}[ -]?\d{4})(?![A-Za-z0-9])",
    re.IGNORECASE,
)
INSURANCE = re.compile(r"(?<![A-Za-z0-9])[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?\d\d ?\d\d ?\d\d ?[A-D](?![A-Za-z0-9])")
"""A British National Insurance number."""


def identities(text: str) -> Iterator[Found]:
    """Chinese identity numbers, US social security numbers that are called so, British insurance numbers."""
    for number in digits(text, 15, 18):
        if is_chinese(number.text):
            yield Found("id", number.start, number.end)
    for match in SOCIAL.finditer(text):
        yield Found("id", *match.span(1))
    for match in INSURANCE.finditer(text):
        yield Found("id", *match.span())


def is_chinese(number: str) -> bool:
    """Whether 18 characters, the last a digit or X, or 15 digits are a Chinese identity number."""
    from stdnum.iso7064 import mod_11_2

    if len(number) not in (15, 18) or not PROVINCE.match(number) or not number[:-1].isdigit():
        return False
    if len(number) == 15:
        return number.isdigit() and _is_day(f"19{number[6:12]}")
    return _is_day(number[6:14]) and bool(mod_11_2.is_valid(number.upper()))


def _is_day(digits: str) -> bool:
    """Whether these 8 digits are a day on which a person may have been born."""
    try:
        return date(1900, 1, 1) <= date.fromisoformat(digits) <= date.today()
    except ValueError:
        return False


def passports(text: str) -> Iterator[Found]:
    """Passport numbers behind the word passport."""
    for match in PASSPORT.finditer(text):
        yield Found("passport", *match.span(1))
