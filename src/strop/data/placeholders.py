"""What stands in a message beside its words: placeholders, marks of accelerator keys, markup."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable

PLACEHOLDER = re.compile(
    r"%\(\w+\)[-#0+]*\d*(?:\.\d+)?[a-zA-Z]"  # %(name)s
    r"|%?\{[^{}\s]*\}"  # {0}, {name}, %{name}
    r"|\$\([A-Za-z0-9_]+\)|\$\{[A-Za-z0-9_]+\}|\$[A-Za-z0-9_]+\$?"  # $(ARG1), ${name}, $1, $name$
    r"|%\d+\$[a-z]|%[-#0+]*\d*(?:\.\d+)?[sdiufxXc](?![a-zA-Z])"  # %1$s, %s, %.2f
    r"|%[A-Z][A-Z_]*\d*|%\d+"  # %PRODUCTNAME, %1
)
MARKUP = re.compile(r"<[a-zA-Z/!][^>]*>|&(?:#\d+|\w+);")
"""A tag or an entity of HTML."""
MARKS = "~_&"
"""Before the letter that is the key: `~File`, `_File`, `&File`, and in Chinese `文件(~F)`."""
IN_BRACKETS = re.compile(rf"\s*[(（]([{MARKS}])\w[)）]")


def placeholders(text: str) -> Counter[str]:
    """The placeholders of a text, and how often each stands in it."""
    return Counter(PLACEHOLDER.findall(text))


def bare(text: str) -> str:
    """The text with the same sign for every placeholder, to compare its words."""
    return PLACEHOLDER.sub(" 0 ", text)


def without_accelerators(source: str, target: str) -> tuple[str, str]:
    """Both texts without marks of accelerator keys.

    A mark is one if a text has it in brackets, at the beginning of a word, or if each text has it once (but for `&`,
    which is a word of its own in Q&A).
    """
    bracketed = {match[1] for text in (source, target) for match in IN_BRACKETS.finditer(text)}
    counts = [Counter(PLACEHOLDER.sub("", text)) for text in (source, target)]
    marks = {mark for mark in MARKS if mark in bracketed or (mark != "&" and all(one[mark] == 1 for one in counts))}
    everywhere = re.compile(f"[{''.join(sorted(marks))}](?=\\w)" if marks else r"(?!)")
    before_words = re.compile(rf"(?<!\w)[{MARKS}](?=\w)")

    def cleared(text: str) -> str:
        text = everywhere.sub("", IN_BRACKETS.sub("", text))
        return before_words.sub("", text) if len(before_words.findall(text)) == 1 else text

    return _outside(source, cleared), _outside(target, cleared)


def _outside(text: str, change: Callable[[str], str]) -> str:
    """The text with what stands between its placeholders changed."""
    held = iter(PLACEHOLDER.findall(text))
    return "".join(change(part) + next(held, "") for part in PLACEHOLDER.split(text))
