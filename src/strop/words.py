"""Helpers for messages: plurals, and the last line of a traceback."""

from __future__ import annotations


def plural(number: int, noun: str, many: str = "") -> str:
    """`1 step`, `3 steps`; `many` is for nouns whose plural takes more than an s."""
    return f"{number} {noun if number == 1 else many or f'{noun}s'}"


def last_line(reason: str) -> str:
    """The last line of a traceback, which names the error."""
    lines = reason.strip().splitlines()
    return lines[-1].strip().rstrip(".") if lines else "no reason given"
