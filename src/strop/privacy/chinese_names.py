"""Chinese names of persons, by the likeliest way to read a line.

A line is a row of words, each as likely as it is frequent (wordfreq), and of names: a surname and one or two
characters, as likely as the surname is frequent and the characters are given. Words that lead to a name ("我叫") or
follow one ("先生", "说") make it likelier. The likeliest row is found exactly (Viterbi 1967), in time linear in the
length.
"""

from __future__ import annotations

import gzip
import math
import re
from collections.abc import Iterator
from functools import cache
from importlib.resources import files

from strop.privacy.chinese_words import GIVEN, SOUND, SURNAMES
from strop.privacy.found import Found

DOUBLED = 0.02
"""The share of given names that are one character twice."""
OFTEN, SELDOM = 0.93 / len(GIVEN), 0.07 / 6000
"""The share of a character among those given: one that is often given, and any other."""
NAMES = 0.004
"""The share of names among words, where nothing speaks for one or against it."""
LONGEST = 8
"""Characters of the longest word or name that is looked up."""
SAID, LED = 150.0, 2000.0
"""How much likelier a name is beside a word that often stands beside one, and behind a word that leads to one."""
LEADS = re.compile(
    r"(?:我叫|名叫|叫做|改名|姓名[：: ]?(?:是|为)?|名字(?:是|叫)?|联系人[：: ]?(?:是|为)?|收件人[：: ]?(?:是|为)?"
    r"|收货人[：: ]?(?:是|为)?|"
    r"寄件人[：: ]?|签名[：: ]?|署名[：: ]?|户主[：: ]?|户名[：: ]?|患者[：: ]?|客户[：: ]?|乘客[：: ]?|尊敬的|亲爱的)$"
)
BEFORE = re.compile(
    r"(?:叫|我是|他是|她是|这是|老师|医生|经理|房东|同事|同学|朋友|邻居|老公|老婆|丈夫|妻子|儿子|女儿|父亲|母亲|爸爸"
    r"|妈妈|哥哥|姐姐|弟弟|妹妹|"
    r"联系|找|请|给|跟|和|与|问|告诉|通知|转告|认识|感谢|谢谢|致|麻烦|提醒|帮|替|让|由|@)$"
)
BEHIND = re.compile(
    r"(?:先生|女士|小姐|太太|同学|老师|医生|大夫|教授|经理|主任|总监|总裁|师傅|律师|警官|阿姨|叔叔|同志|博士|护士"
    r"|校长|院长|部长|书记|"
    r"说|告诉|表示|打电话|打来|发来|来电|寄|的(?:电话|手机|邮箱|地址|身份证|生日|账号|卡号|家|妈妈|爸爸|儿子|女儿"
    r"|孩子)|住在|今年|出生|您好|你好|收(?![一-龥])|[（(]|，?(?:男|女)[，,])"
)
TITLED = re.compile(
    r"先生|女士|小姐|太太|老师|医生|大夫|教授|经理|主任|总监|师傅|律师|警官|阿姨|叔叔|同学|护士|校长|院长|博士"
)
HAN = re.compile(r"[\u4e00-\u9fff]+")
FOREIGN = re.compile(rf"{SOUND}{{2,6}}[·•]{SOUND}{{2,6}}(?:[·•]{SOUND}{{2,6}})?")
_CHARACTER, _DOT = HAN.pattern.rstrip("+"), "[·•]"
DOTTED = re.compile(
    r"(?:我叫|(?<![书片剧曲歌店菜])名叫|我的名字(?:是|叫)|"
    r"(?:姓名|联系人|收件人|收货人|寄件人|户主|户名)(?:[：:] ?|是|为))"
    rf"({_CHARACTER}{{1,8}}(?:{_DOT}{_CHARACTER}{{1,8}}){{0,3}}{_DOT}{_CHARACTER}{{1,8}}?)"
    rf"(?={BEHIND.pattern}|(?!{_CHARACTER}))"
)
"""A name with a dot, in whatever characters, where nothing but a name is to be expected."""


def chinese_names(text: str) -> Iterator[Found]:
    """Chinese names in simplified or traditional characters, and foreign ones that are written with a dot."""
    simple = text.translate(_simplified())
    for run in HAN.finditer(simple):
        yield from _read(simple, *run.span())
    for match in FOREIGN.finditer(simple):
        yield Found("name", *match.span())
    for match in DOTTED.finditer(simple):
        yield Found("name", *match.span(1))


def _read(text: str, start: int, end: int) -> Iterator[Found]:
    """The names in the likeliest reading of text[start:end], which is all Chinese."""
    words, floor = _words()
    best: list[tuple[float, int, bool]] = [
        (0.0, start, False)
    ]  # cost in nats, where the last word begins, is it a name
    for to in range(start + 1, end + 1):
        options = []
        for begin in range(max(start, to - LONGEST), to):
            word, before = text[begin:to], best[begin - start][0]
            cost = words.get(word, floor if len(word) == 1 else math.inf)
            options.append((before + cost, begin, False))
            if len(word) <= 4 and (shared := _name_share(text, begin, to)):
                options.append((before - math.log(shared), begin, True))
        best.append(min(options))
    to = end
    found = list[Found]()
    while to > start:
        _, begin, is_name = best[to - start]
        if is_name:
            found.append(Found("name", begin, to))
        to = begin
    yield from reversed(found)


def _name_share(text: str, start: int, end: int) -> float:
    """How likely text[start:end] is a word that is a name, here; 0 if it cannot be one."""
    word = text[start:end]
    surname = word[:2] if word[:2] in SURNAMES else word[:1]
    given = word[len(surname) :]
    if surname not in SURNAMES or len(given) > 2 or (TITLED.match(text, start + len(surname)) and given):
        return 0.0
    if not given:
        return NAMES * SURNAMES[surname] if TITLED.match(text, end) else 0.0
    share = NAMES * SURNAMES[surname] * _given_share(given)
    before = text[max(0, start - 8) : start]
    share *= LED if LEADS.search(before) else SAID if BEFORE.search(before) else 1.0
    if BEHIND.match(text, end):
        share *= SAID
    return share


def _given_share(given: str) -> float:
    first = OFTEN if given[0] in GIVEN else SELDOM
    if len(given) == 1:
        return 0.15 * first
    if given[0] == given[1]:
        return 0.85 * DOUBLED * first
    return 0.85 * first * (OFTEN if given[1] in GIVEN else SELDOM)


@cache
def _words() -> tuple[dict[str, float], float]:
    """Minus the log of the frequency of every word that is not itself a rare name; and of an unknown character."""
    from wordfreq import get_frequency_dict

    frequencies = get_frequency_dict("zh", "large")
    words = {word: -math.log(share) for word, share in frequencies.items() if not _is_rare_name(word, share)}
    return words, -math.log(min(frequencies.values()))


@cache
def _simplified() -> dict[int, str]:
    """wordfreq's table of traditional characters: one for one, so that positions stay."""
    import msgpack

    packed = files("wordfreq").joinpath("data/_chinese_mapping.msgpack.gz").read_bytes()
    table: dict[int, str] = msgpack.unpackb(gzip.decompress(packed), raw=False, strict_map_key=False)
    assert all(len(simple) == 1 for simple in table.values())
    return table


def _is_rare_name(word: str, share: float) -> bool:
    surname = word[:2] if word[:2] in SURNAMES else word[:1]
    given = word[len(surname) :]
    if surname not in SURNAMES or not 1 <= len(given) <= 2:
        return False
    rare = 5e-6 if len(given) == 2 else 4e-6 if SURNAMES[surname] > 0.008 else 3e-7
    return share < rare and all(character in GIVEN for character in given)
