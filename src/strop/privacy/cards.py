"""Numbers of bank cards and accounts, by their check digits: Luhn's, and modulo 97 of an IBAN."""

from __future__ import annotations

import re
from collections.abc import Iterator

from strop.privacy.digits import digits
from strop.privacy.found import Found

ISSUED = re.compile(
    r"4(?:\d{12}|\d{15}|\d{18})"  # Visa
    r"|(?:5[1-5]\d\d|222[1-9]|22[3-9]\d|2[3-6]\d\d|27[01]\d|2720)\d{12}"  # Mastercard
    r"|3[47]\d{13}|3(?:0[0-5]|[689]\d)\d{11}"  # American Express, Diners Club
    r"|(?:6011|64[4-9]\d|65\d\d|35[2-8]\d)\d{12}"  # Discover, JCB
    r"|(?:62|60|81)\d{14,17}|(?:5018|5020|5038|6304|67\d\d)\d{8,15}"  # UnionPay and older Chinese, Maestro
)
"""The first digits of issuers, and how many follow."""
IBAN = re.compile(r"(?<![A-Za-z0-9])[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?(?![A-Za-z0-9])")


def cards(text: str) -> Iterator[Found]:
    """Card numbers of a known issuer and length whose last digit is right."""
    from stdnum import luhn

    for number in digits(text, 13, 19):
        if ISSUED.fullmatch(number.text) and len(set(number.text)) > 1 and luhn.is_valid(number.text):
            yield Found("card", number.start, number.end)


def ibans(text: str) -> Iterator[Found]:
    """International bank account numbers whose length and check digits are right."""
    from stdnum import iban

    for match in IBAN.finditer(text):
        parts = match.group().split(" ")
        for last in range(len(parts), 0, -1):
            shorter = " ".join(parts[:last])
            if iban.is_valid(shorter):
                yield Found("iban", match.start(), match.start() + len(shorter))
                break
