"""E-mail addresses, also those that are written out, and names of accounts that are called so."""

from __future__ import annotations

import re
from collections.abc import Iterator

from strop.privacy.found import Found

EMAIL = re.compile(
    r"(?<![A-Za-z0-9._%+-])[A-Za-z0-9][A-Za-z0-9._%+-]*(?<!\.) ?@ ?"
    r"(?:[A-Za-z0-9À-ɏ\u4e00-\u9fff][A-Za-z0-9À-ɏ\u4e00-\u9fff-]{0,62}[.。]){1,5}"
    r"(?:xn--[A-Za-z0-9-]{2,40}|[A-Za-z]{2,24}|中国|中國|公司|网络|網絡|网址|在线|中文网|集团|政务|公益|香港|台湾|台灣|新加坡)"
    r"(?![A-Za-z0-9])"
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
"""name at host dot com: only if the name is not a mere word, or an e-mail is spoken of; and first.last at host.com"""
SPOKEN_OF = re.compile(r"e-?mail|\bmail|write to|reach (?:me|us)|contact|address|邮箱|邮件", re.IGNORECASE)
ACCOUNT = re.compile(
    r"(?:(?:QQ|微信|WeChat|Weixin|Telegram|WhatsApp|Skype)\s?(?:号|号码|ID|账号|帐号|handle)?\s?(?:[:：=]|是|为|is)"
    r"|加(?:我|下)?(?:微信|QQ))"
    r"\s?[:：]?\s?(?:叫)?\s?(@?[A-Za-z][A-Za-z0-9_-]{4,31}|[1-9]\d{4,11})(?![A-Za-z0-9_@-])",
    re.IGNORECASE,
)
BARE_ACCOUNT = re.compile(
    r"(?:(?:QQ|微信|WeChat|Weixin|Telegram|WhatsApp|Skype)\s?(?:号码|号|ID|账号|帐号)?\s?"
    r"(@?[A-Za-z](?=[A-Za-z_-]*[\d_])[A-Za-z0-9_-]{4,31})|QQ\s?(?:号码|号)?\s?([1-9]\d{4,10}))(?![A-Za-z0-9_@.-])",
    re.IGNORECASE,
)
"""With nothing but a space between: only what is no word."""


def emails(text: str) -> Iterator[Found]:
    """name@host.com, name [at] host [dot] com, and name at host dot com."""
    for pattern in (EMAIL, BRACKETS):
        for match in pattern.finditer(text):
            yield Found("email", *match.span())
    for match in SPOKEN.finditer(text):
        if _is_address(text, match):
            yield Found("email", *match.span())


def _is_address(text: str, match: re.Match[str]) -> bool:
    name, _, host = match.group().lower().partition(" at ")
    if " dot " not in f"{name} {host}":
        return bool(re.fullmatch(r"[a-z][a-z0-9]*[._-][a-z0-9._-]*[a-z0-9]|[a-z]{2,}\d+", name))
    is_no_word = bool(re.search(r"[\d_.-]| dot ", name))
    return is_no_word or bool(SPOKEN_OF.search(text, max(0, match.start() - 40), match.start()))


def accounts(text: str) -> Iterator[Found]:
    """What stands behind QQ, WeChat and others."""
    for match in ACCOUNT.finditer(text):
        yield Found("account", *match.span(1))
    for match in BARE_ACCOUNT.finditer(text):
        yield Found("account", *match.span(1 if match[1] else 2))
