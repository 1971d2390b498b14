"""A verifiable reward: is the last number of the text the right answer?"""

from __future__ import annotations

import re
import unicodedata
from decimal import Decimal, InvalidOperation

from strop.types import Episode, Task

# A run of characters that belong to one number-like thing: "8", "1,000.5", "1e-3", and also "8kg", "x2", "5²", "1,2".
_CHUNK = re.compile(r"(?:[A-Za-z0-9_.,%\u00b2\u00b3\u00b9\u00bc-\u00be\u2070-\u218f]|(?<=\d[eE])[+-](?=\d))+")
_DIGIT = re.compile(r"[0-9\u00b2\u00b3\u00b9\u00bc-\u00be\u2070-\u218f]")
_NUMBER = re.compile(r"(?:\d{1,3}(?:,\d{3})+|\d+)?(?:(?<=\d)\.\d+|(?<!\d)\.\d+)?(?:[eE][+-]?\d+)?", re.ASCII)
_SIGN = re.compile(r"(?<![\w)\]])[+-]\Z|(?<=[=:])\s*[+-]\s*\Z")
_LIST_WORDS = frozenset({"", "and", "to", "then"})  # the words between two numbers of a list
_STATED = re.compile(r"[=:≈]|->|→")
_HEDGE = re.compile(r"\b(?:or|either|maybe|perhaps|possibly|alternatively)\b", re.IGNORECASE)
_DENIED = re.compile(r"(?:\bnot|n't|≠|!=)\W*\Z", re.IGNORECASE)


def correct_number(task: Task, episode: Episode) -> float:
    """1 if the last number of the text equals `task.answer`, else 0; equal as values, so 8, 8.0 and "８" agree.

    Cheated by: no cheap way is known. Hedges ("7 or 8"), lists ("6, 7, 8"), denials ("not 8") and a number that
    max_tokens may have cut in two do not count as answers.
    """
    wanted = _parse(_plain(task.answer.strip()))
    if wanted is None:
        raise ValueError(f"task {task.id!r}: correct_number needs a number as its answer, not {task.answer!r}.")
    if not episode.turns:
        return 0.0
    last = episode.turns[-1]
    if last.completion.finish == "length" and _plain(last.text)[-1:].isdigit():
        return 0.0
    return 1.0 if last_number(last.text) == wanted else 0.0


def last_number(text: str) -> Decimal | None:
    """The last number of the text, or None if the text does not commit to one.

    It may have digits of any script, a minus sign of any kind, thousands ("1,000"), decimals and exponents ("1e3"). A
    last number that touches letters or signs ("8kg", "5²", "8%", "½") is not a plain number: the result is None.
    """
    text = _plain(text)
    chunks = [match for match in _CHUNK.finditer(text) if _DIGIT.search(match[0])]
    if not chunks:
        return None
    last = chunks[-1]
    body = last[0].rstrip(".,")
    before, after = text[: last.start()], text[last.start() + len(body) :]
    sign = _SIGN.search(before)
    signless = before[: sign.start()] if sign else before
    gap = signless[chunks[-2].end() :] if len(chunks) > 1 else None
    listed = gap is not None and " ".join(re.findall(r"\w+", gap.lower())) in _LIST_WORDS and not _STATED.search(gap)
    hedged = _HEDGE.search(after) or _HEDGE.search(gap or "")
    if listed or hedged or _DENIED.search(signless) or re.match(r"-\w", after):
        return None
    return _parse((sign[0].strip() if sign else "") + body)


def _parse(text: str) -> Decimal | None:
    """The value of a text that is only a number; else None."""
    digits = text.lstrip("+-")
    if len(text) - len(digits) > 1 or not digits or not _NUMBER.fullmatch(digits) or digits[0] in "eE":
        return None
    try:
        return Decimal(text.replace(",", ""))
    except InvalidOperation:  # the exponent is too large
        return None


def _plain(text: str) -> str:
    """Decimal digits of any script as ASCII, and every minus sign as "-". Superscripts are no digits: 5² is not 52."""
    return "".join(
        "-" if char in "−－﹣‒–" else str(digit) if (digit := unicodedata.decimal(char, None)) is not None else char
        for char in text
    )
