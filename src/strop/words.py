"""Words that fit their number."""

from __future__ import annotations


def plural(number: int, noun: str, many: str = "") -> str:
    """`1 step`, `3 steps`; `many` is for nouns whose plural takes more than an s."""
    return f"{number} {noun if number == 1 else many or f'{noun}s'}"
