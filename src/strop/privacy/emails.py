"""E-mail addresses, also those that are written out, and names of accounts that are called so."""

from __future__ import annotations

import re
from collections.abc import Iterator

from strop.privacy.found import Found

EMAIL = re.compile(
    r"(?<![A-Za-z0-9._%+-])[A-Za-z0-9][A-Za-z0-9._%+-]*(?<!\.) ?@ ?"
    r"(?:[A-Za-z0-9][A-Za-z0-9-]{0,62}[.。]){1,5}[A-Za-z]{2,24}(?![A-Za-z0-9])"
)
DOMAIN = (
    r"(?:[A-Za-z0-9-]{1,63}%s){1,4}(?:com|org|net|edu|gov|io|me|co|uk|us|cn|de|fr|info|biz|ai|app|dev)(?![A-Za-z0-9])"
)
BRACKETS = re.compile(
    r"(?<![A-Za-z0-9._%+-])[A-Za-z0-9][A-Za-z0-9._%+-]* ?[\[({<] ?(?:at|@|艾特) ?[\])}>] ?"
    + DOMAIN % r"(?:\.| ?[\[({<] ?(?:dot|点) ?[\])}>] ?| dot )",
    re.IGNORECASE,
)
"""name [at] host [dot] com"""
SPOKEN = re.compile(
    r"(?<![A-Za-z0-9._%+-])[A-Za-z0-9][A-Za-z0-9_-]*(?:(?: dot |\.)[A-Za-z0-9_-]+){0,3} at " + DOMAIN % r"(?: dot |\.)",
    re.IGNORECASE,
)
"""name at host dot com: only if the name is not a mere word, or an e-mail is spoken of"""
SPOKEN_OF = re.compile(r"e-?mail|\bmail|write to|reach (?:me|us)|contact|address|邮箱|邮件", re.IGNORECASE)
ACCOUNT = re.compile(
    r"(?:(?:QQ|微信|WeChat|Weixin|Telegram|WhatsApp|Skype)\s?(?:号|号码|ID|账号|帐号|handle)?\s?(?:[:：=]|是|为|is)"
    r"|加(?:我|下)?(?:微信|QQ))"
    r"\s?[:：]?\s?(?:叫)?\s?(@?[A-Za-z][A-Za-z0-9_-]{4,31}|[1-9]\d{4,11})(?![A-Za-z0-9_@-])",
    re.IGNORECASE,
)


def emails(text: str) -> Iterator[Found]:
    """name@host.com, name [at] host [dot] com, and name at host dot com."""
    for pattern in (EMAIL, BRACKETS):
        for match in pattern.finditer(text):
            yield Found("email", *match.span())
    for match in SPOKEN.finditer(text):
        if " dot " in match.group().lower() and _is_address(text, match):
            yield Found("email", *match.span())


def _is_address(text: str, match: re.Match[str]) -> bool:
    name = match.group().lower().split(" at ")[0]
    is_no_word = bool(re.search(r"[\d_.-]| dot ", name))
    return is_no_word or bool(SPOKEN_OF.search(text, max(0, match.start() - 40), match.start()))


def accounts(text: str) -> Iterator[Found]:
    """What stands behind QQ, WeChat and others."""
    for match in ACCOUNT.finditer(text):
        yield Found("account", *match.span(1))
