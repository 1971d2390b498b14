"""Is a short answer right, wrong, or "I don't know"? How the rewards of questions read a text."""

from __future__ import annotations

import re
import unicodedata
from typing import Literal, TypeAlias

from strop.rewards._answer import answer_of
from strop.types import Task

Verdict: TypeAlias = Literal["right", "unknown", "wrong"]
UNKNOWN = ("i dont know", "i do not know", "im not sure", "i am not sure")
"""How a text begins that gives no answer; plain, as `plain` writes it."""
ACCEPTED = "accepted"
"""The field of a task's data that lists further right answers."""
_APOSTROPHES = dict.fromkeys(map(ord, "'’‘ʼʻ`´"))
_LEAD = re.compile(r"\A(?:called|named|(?:located )?in) ")
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_MARK = re.compile(r"(?!(?<!\S)-\d)[^\w\s]|_")
"""Not the minus sign of a number."""


def verdict_of(task: Task, text: str, reward: str) -> Verdict:
    """What the first line of a text is, beside the accepted answers; `reward` names who asks.

    It is right if it is an accepted answer and nothing else, or a sentence that ends in "is" (or "is called", "is in")
    and one. So a text that lists answers is wrong. Case, accents, marks and an article in front are free.

    Raises ValueError for a task without an answer.
    """
    said = plain(first_line(text))
    if said.startswith(UNKNOWN):
        return "unknown"
    accepted = {plain(one) for one in accepted_of(task, reward)}
    named = without_article(_LEAD.sub("", said.partition(" is ")[2]))  # "it is Rome, it is Oslo" is no one answer
    return "right" if said in accepted or named in accepted else "wrong"


def accepted_of(task: Task, reward: str) -> tuple[str, ...]:
    """The answers that are right. Raises ValueError if there is none, or if one has no letter or digit."""
    others = task.data.get(ACCEPTED, ())
    if not isinstance(others, list | tuple) or not all(isinstance(one, str) for one in others):
        raise ValueError(f"task {task.id!r}: data[{ACCEPTED!r}]={others!r}: it is a list of texts.")
    found = (answer_of(task, reward), *others)
    if empty := [one for one in found if not plain(one)]:
        raise ValueError(f"task {task.id!r}: the answer {empty[0]!r} has no letter or digit to compare.")
    return found


def first_line(text: str) -> str:
    """The first line that is not blank; empty if there is none."""
    return next((line for line in text.splitlines() if line.strip()), "")


def plain(text: str) -> str:
    """Words in lower case, without accents, marks and an article in front. A minus sign before a number stays."""
    letters = unicodedata.normalize("NFKD", text.translate(_APOSTROPHES)).casefold().replace("−", "-")
    bare = "".join(letter for letter in letters if not unicodedata.combining(letter))
    return without_article(" ".join(_MARK.sub(" ", _THOUSANDS.sub("", bare)).split()))


def without_article(words: str) -> str:
    """The words behind an article; an article alone stays."""
    first, _, rest = words.partition(" ")
    return rest if first in ("the", "a", "an") and rest else words
