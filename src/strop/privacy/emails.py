"""E-mail addresses, also those that are written out, and names of accounts that are called so."""

from __future__ import annotations

import re
from collections.abc import Iterator

from strop.privacy.found import Found

EMAIL = re.compile(
    r"(?<![A-Za-z0-9._%+-])[A-Za-z0-9][A-Za-z0-9._%+-]*(?<!\.) ?@ ?"
    r"(?:[A-Za-z0-9][A-Za-z0-9-]{0,62}[.。]){1,5}[A-Za-z]{2,24}(?![A-Za-z0-9])"
)
_LABEL = r"[A-Za-z0-9À-ɏ\u4e00-\u9fff][A-Za-z0-9À-ɏ\u4e00-\u9fff-]{0,30}"
_CHINESE_ENDS = "中国|中國|公司|网络|網絡|网址|在线|中文网|集团|政务|公益|香港|台湾|台灣|新加坡"
ELSEWHERE = re.compile(
    r"(?<![A-Za-z0-9._%+-])[A-Za-z0-9][A-Za-z0-9._%+-]*(?<!\.)@"
    rf"(?:(?:{_LABEL}\.){{1,5}}(?:xn--[A-Za-z0-9-]{{2,40}}|{_CHINESE_ENDS})"
    r"|(?:[A-Za-z0-9À-ɏ][A-Za-z0-9À-ɏ-]{0,62}\.){1,5}[A-Za-z]{2,24})(?![A-Za-z0-9])"
)
"""Hosts in Chinese, which end as Chinese ones do, since what stands behind an address is often a sentence in Chinese;
in Punycode; and with accents."""
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
"""name at host dot com: only if the name is not a mere word, or an e-mail is spoken of; and first.last at gmail.com"""
SPOKEN_OF = re.compile(r"e-?mail|\bmail|write to|reach (?:me|us)|contact|address|邮箱|邮件", re.IGNORECASE)
INTRODUCED = re.compile(
    r"(?:e-?mail|\bmail|reach me|write to me|邮箱|邮件)(?: address)?(?: is|[:：]|是| at)? ?$", re.IGNORECASE
)
PARTS = re.compile(r"[a-z][a-z0-9]*[._][a-z][a-z0-9._]*")
MAIL_TEXT = "gmail.com outlook.com hotmail.com yahoo.com icloud.com live.com aol.com proton.me qq.com foxmail.com"
MAIL_HOSTS = frozenset(MAIL_TEXT.split())
"""Of these an address has all before the at; elsewhere it may be the name of a program, as in node.js at github.com."""
ACCOUNT = re.compile(
    r"(?:(?:QQ|微信|WeChat|Weixin|Telegram|WhatsApp|Skype)\s?(?:号|号码|ID|账号|帐号|handle)?\s?(?:[:：=]|是|为|is)"
    r"|加(?:我|下)?(?:微信|QQ))"
    r"\s?[:：]?\s?(?:叫)?\s?(@?[A-Za-z][A-Za-z0-9_-]{4,31}|[1-9]\d{4,11})(?![A-Za-z0-9_@-])",
    re.IGNORECASE,
)
_DATE = r"(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:[0-2]\d|3[01])?(?!\d)"
_ROUND = r"\d{1,6}0{5}(?!\d)"
_UNITS = (
    r"\s?(?:[+%]|[个次人位条名万亿元块年月天米字多余]|用户|粉丝|好友|级"
    r"|(?:users?|people|members?|times|[km]b?|km)\b)"
)
_ENDS = r"(?![A-Za-z0-9_@-]|[.,][A-Za-z0-9])"
BARE_ID = re.compile(
    r"(?<![A-Za-z])(?:(?:微信|WeChat|Weixin)(?:号\s?| ?ID )|(?:微信|WeChat|Weixin) (?=[A-Za-z0-9-]{1,30}_))"
    r"([A-Za-z](?=[A-Za-z0-9_-]{0,30}\d\d)[A-Za-z0-9_-]{5,31})" + _ENDS,
    re.IGNORECASE,
)
"""With nothing but a space between: of letters and two digits, and without a word for an id also with a line."""
BARE_NUMBER = re.compile(
    rf"(?<![A-Za-z])QQ\s?(?:(?:号码|号|ID|账号|帐号)\s?([1-9]\d{{4,10}})(?!\s?[个万])"
    rf"|(?!{_DATE}|{_ROUND})([1-9]\d{{5,10}})(?![\u4e00-\u9fff]|{_UNITS})){_ENDS}",
    re.IGNORECASE,
)
"""With nothing but a space between: no date, no round number, and nothing that is counted."""


def emails(text: str) -> Iterator[Found]:
    """name@host.com, name [at] host [dot] com, and name at host dot com."""
    for pattern in (EMAIL, ELSEWHERE, BRACKETS):
        for match in pattern.finditer(text):
            yield Found("email", *match.span())
    for match in SPOKEN.finditer(text):
        if _is_address(text, match):
            yield Found("email", *match.span())


def _is_address(text: str, match: re.Match[str]) -> bool:
    name, _, host = match.group().lower().partition(" at ")
    if " dot " not in f"{name} {host}":
        is_spoken_of = bool(INTRODUCED.search(text, max(0, match.start() - 40), match.start()))
        return bool(PARTS.fullmatch(name)) and (host in MAIL_HOSTS or is_spoken_of)
    is_no_word = bool(re.search(r"[\d_.-]| dot ", name))
    return is_no_word or bool(SPOKEN_OF.search(text, max(0, match.start() - 40), match.start()))


def accounts(text: str) -> Iterator[Found]:
    """What stands behind QQ, WeChat and others."""
    for match in ACCOUNT.finditer(text):
        yield Found("account", *match.span(1))
    for match in BARE_ID.finditer(text):
        yield Found("account", *match.span(1))
    for match in BARE_NUMBER.finditer(text):
        yield Found("account", *match.span(1 if match[1] else 2))
