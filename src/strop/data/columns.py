"""From a row to a task: which columns its prompt, answer and id are in. All others are its data."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from strop.data.rows import Row
from strop.types import Message, Prompt, Task, shown

ROLES = ("system", "user", "assistant")
PROMPTS = ("prompt", "messages")
"""The usual names of the prompt's column."""


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns of prompt, answer and id. None takes the usual one, and without it no answer, or the row's number."""

    prompt: str | None = None
    answer: str | None = None
    id: str | None = None

    def __post_init__(self) -> None:
        if twice := next((name for name in self.given if self.given.count(name) > 1), ""):
            raise ValueError(f"the column {twice!r} is chosen twice: prompt, answer and id are in different columns.")

    @property
    def given(self) -> list[str]:
        """Those that are chosen by name."""
        return [name for name in (self.prompt, self.answer, self.id) if name is not None]

    def flaw(self, there: Sequence[str]) -> str:
        """What is wrong with the choice among these columns; empty if nothing is."""
        for name in self.given:
            if name not in there:
                near = difflib.get_close_matches(name, there, n=len(there) or 1, cutoff=0.0)
                return f"there is no column {name!r}: it has {', '.join(near) or 'none'}"
        if self.prompt is not None or _usual_prompt(there):
            return ""
        fields = ", ".join(there) or "none"
        return f'a task has either a "prompt" or "messages" (found the fields: {fields}); prompt=NAME chooses another'

    def task(self, row: Row) -> Task:
        """The task of a row. Raises ValueError if it is none."""
        if flaw := row.flaw or self.flaw(tuple(row.fields)):
            raise ValueError(flaw)
        data = dict(row.fields)
        prompt = _prompt(data.pop(self.prompt or _usual_prompt(data)))
        id, answer = self.id or "id", self.answer or "answer"
        return Task(_text(data.pop(id, row.number), id), prompt, _text(data.pop(answer, ""), answer), data)


def _usual_prompt(there: Iterable[str]) -> str:
    """The usual column of the prompt; empty if there is none, or if there are two."""
    found = [name for name in there if name in PROMPTS]
    return found[0] if len(found) == 1 else ""


def _text(value: object, field: str) -> str:
    """An id or answer as text; a number is converted."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if not is_number and not isinstance(value, str):
        raise ValueError(f'"{field}" is a text or a number, not {_said(value)}')
    return str(value)


def _said(value: object) -> str:
    """A value as JSON writes it, or as Python does."""
    if value is None:
        return "null (an empty cell)"
    return str(value).lower() if isinstance(value, bool) else shown(value)


def _prompt(value: object) -> Prompt:
    if isinstance(value, str) and value.strip():
        return value
    if not isinstance(value, list) or not value:
        raise ValueError("the prompt is a text, or a list of messages, and not empty")
    messages = [_message(item) for item in value]
    if messages[-1]["role"] == "assistant":
        raise ValueError("the last message is the assistant's: there is nothing left to answer")
    return messages


def _message(item: object) -> Message:
    if not isinstance(item, dict) or item.get("role") not in ROLES or not isinstance(item.get("content"), str):
        raise ValueError(f'a message is {{"role": {" | ".join(ROLES)}, "content": text}}, not {shown(item)}')
    return Message(role=item["role"], content=item["content"])
