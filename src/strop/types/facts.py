"""Checks of tasks and of environments' replies: prompts have a known form, and data survives JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import CoroutineType

from strop.types.fields import shown

ROLES = ("system", "user", "assistant")
MAX_DEPTH = 100
_SCALARS = frozenset({str, int, bool, type(None)})


def prompt_flaw(value: object) -> str:
    """What is wrong with a prompt; empty if nothing is."""
    if isinstance(value, str):
        return ""
    allowed = "it is a text, or a list of messages"
    if not isinstance(value, list) or not value:
        return f"{returned(value)}: {allowed}"
    wrong = [message for message in value if not _is_message(message)]
    if not wrong:
        return ""
    return f'[{shown(wrong[0])}]: a message is {{"role": {" | ".join(ROLES)}, "content": text}}'


def _is_message(value: object) -> bool:
    return isinstance(value, dict) and value.get("role") in ROLES and isinstance(value.get("content"), str)


def data_flaw(data: object) -> str:
    """What a run cannot store of this data, and where it is; empty if it can store all of it.

    A run writes data as JSON, and a resume reads it back: a number used as a key would become a text.
    """
    if type(data) is not dict and not isinstance(data, Mapping):
        return f"data={shown(data)}: it is a dict of facts"
    return _dict_flaw(data, "data", 0) if data else ""


def _dict_flaw(value: Mapping[object, object], place: str, depth: int) -> str:
    for key, item in value.items():
        if not isinstance(key, str):
            return f"{place} has the key {shown(key)}: a key is a text"
        if flaw := _json_flaw(item, f"{place}[{key!r}]", depth + 1):
            return flaw
    return ""


def _json_flaw(value: object, place: str, depth: int) -> str:
    if type(value) in _SCALARS or isinstance(value, str | int):
        return ""
    if isinstance(value, float):
        return "" if math.isfinite(value) else f"{place} is {value}, which JSON cannot say: None can stand there"
    if depth > MAX_DEPTH:
        return f"data lies more than {MAX_DEPTH} levels deep: does it hold itself?"
    if isinstance(value, dict):
        return _dict_flaw(value, place, depth)
    if isinstance(value, list | tuple):
        if _SCALARS.issuperset(map(type, value)):
            return ""
        return next(filter(None, (_json_flaw(item, f"{place}[{i}]", depth + 1) for i, item in enumerate(value))), "")
    return (
        f"{place} is of type {type(value).__name__} ({shown(value)}): a run can keep texts, numbers, True and False, "
        "None, lists, and dicts of them"
    )


def returned(value: object) -> str:
    """A value that user code returned, in words for a message. A coroutine is closed, as it is never awaited."""
    if isinstance(value, CoroutineType):
        value.close()
        return "a coroutine (it is an async function: write def, without async)"
    return shown(value)


def storable(text: str) -> str:
    """The text with lone surrogates, which UTF-8 cannot encode, as escapes: `\\ud83d`.

    JSON uses the same escapes, so JSON that is read back gives the original text.
    """
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode("utf-8")
