"""Function calls as chat models write them: JSON between tags."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

OPEN, CLOSE = "<tool_call>", "</tool_call>"
LONGEST = 1000
"""Characters of a call."""
FORM = f'{OPEN}{{"name": "...", "arguments": {{...}}}}{CLOSE}'


def is_call(text: str) -> bool:
    """Whether a text calls a tool, rightly or not."""
    return OPEN in text


def call_of(text: str) -> tuple[str, Mapping[str, Any]]:
    """The name and the arguments of the one call in a text; what stands around it is free.

    Raises ValueError that says what is wrong, and repeats nothing of the text.
    """
    if text.count(OPEN) != 1 or text.count(CLOSE) > 1:
        raise ValueError("one call at a time")
    body, closed, _ = text.partition(OPEN)[2].partition(CLOSE)
    if not closed:
        raise ValueError(f"the call does not end with {CLOSE}")
    if len(body) > LONGEST:
        raise ValueError(f"the call is longer than {LONGEST} characters")
    try:
        call: Any = json.loads(body)
    except (ValueError, RecursionError):
        raise ValueError(f"the call is not JSON. It looks like this: {FORM}") from None
    if not isinstance(call, dict) or set(call) != {"name", "arguments"}:
        raise ValueError(f"a call has a name and arguments: {FORM}")
    if not isinstance(call["name"], str) or not isinstance(call["arguments"], dict):
        raise ValueError(f"the name is a text, and the arguments are an object: {FORM}")
    return call["name"], call["arguments"]


def arguments_of(given: Mapping[str, Any], *names: str) -> list[str]:
    """The values of these arguments. Raises ValueError unless they are the ones given, each a text."""
    if set(given) != set(names) or not all(isinstance(value, str) for value in given.values()):
        raise ValueError(f"the arguments are {' and '.join(names)}, each a text")
    return [given[name] for name in names]
