"""Runs of digits in groups: the shape of card and identity numbers, however they are set apart."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

RUN = re.compile(r"(?<![A-Za-z0-9.,])\d+(?:[ \n-]\d+)*[Xx]?(?![A-Za-z0-9])")
GROUP = re.compile(r"\d+[Xx]?")


@dataclass(frozen=True, slots=True)
class Digits:
    """Groups that stand side by side: their `text` without what sets them apart, and where they stand."""

    text: str
    start: int
    end: int


def digits(text: str, shortest: int, longest: int) -> Iterator[Digits]:
    """All runs of whole groups with this many characters: groups of at least 3, or digits one by one.

    The last group may be short. At most `longest` groups are tried from each, so the work grows with the text alone.
    """
    for run in RUN.finditer(text):
        groups = [match.span() for match in GROUP.finditer(text, *run.span())]
        for first in range(len(groups)):
            joined, is_single = "", groups[first][1] - groups[first][0] == 1
            for start, end in groups[first:]:
                joined += text[start:end]
                if len(joined) > longest:
                    break
                if len(joined) >= shortest:
                    yield Digits(joined, groups[first][0], end)
                if (end - start == 1) != is_single or (not is_single and end - start < 3):
                    break
