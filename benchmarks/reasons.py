"""Why a mean has no interval, in Chinese, for the pages that benchmarks write."""

from __future__ import annotations

import re

NOUNS = {"score": "分数", "difference": "差", "seed": "种子"}
NOTHING = "(nothing was scored)"
WHY = re.compile(
    r" ?\(no interval: (?:(?P<one>a single)|(?P<both>both)|all (?P<num>\d+)) (?P<noun>[a-z]+?)s?(?: are equal)?\)"
)


def in_chinese(table: str) -> str:
    """The table with each reason of `strop.intervals` in Chinese. Raises ValueError for one that is not known."""
    told = WHY.sub(_told, table).replace(NOTHING, "（都没有分数）")
    if "no interval" in told:
        raise ValueError(f"a reason without Chinese words: {told[told.index('no interval') :][:80]!r}. Add it here.")
    return told


def _told(found: re.Match[str]) -> str:
    if found["noun"] not in NOUNS:
        raise ValueError(f"no Chinese word for {found['noun']!r} in {found[0]!r}: add it to NOUNS.")
    noun = NOUNS[found["noun"]]
    if found["one"]:
        return f"（没有区间：只有一个{noun}）"
    return f"（没有区间：{'两' if found['both'] else found['num'] + ' '}个{noun}都相等）"
