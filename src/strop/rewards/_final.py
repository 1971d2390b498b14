"""The answer that stands in a free text."""

from __future__ import annotations

import re

_TAGGED = re.compile(r"<answer>(.*?)</answer>", re.DOTALL)
_LEAD = re.compile(r"\A.*?\banswer(?: is)?:?\s+", re.IGNORECASE)


def final_answer(text: str) -> str:
    """The answer of a text; empty if there is none."""
    if tagged := _TAGGED.findall(text):
        return str(tagged[-1]).strip()
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return _LEAD.sub("", lines[-1]).removesuffix(".").strip() if lines else ""
