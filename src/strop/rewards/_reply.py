"""What a judge replied: one JSON object at the end of the text."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NoReturn

MOST_STARTS = 100
"""So many opening braces are tried: a reply of braces alone costs no more."""


def object_in(reply: str) -> dict[str, Any]:
    """The JSON object with which the reply ends; thoughts before it, and a fence of Markdown around it, are free.

    Raises ValueError if there is none, or if it gives a key twice.
    """
    text = reply.strip().removesuffix("```").rstrip()
    decoder = json.JSONDecoder(object_pairs_hook=_record, parse_constant=_refuse_constant)
    start = text.find("{")
    for _ in range(MOST_STARTS):
        if start < 0:
            break
        try:
            found, end = decoder.raw_decode(text, start)
        except (json.JSONDecodeError, RecursionError):
            end = -1
        if end == len(text):
            record: dict[str, Any] = found
            return record
        start = text.find("{", start + 1)
    raise ValueError("it does not end with a JSON object")


def _record(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    record = dict(pairs)
    if len(record) < len(pairs):
        raise ValueError("it gives a key twice")
    return record


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"it holds {name}")
