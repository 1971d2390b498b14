"""What is found in a text, and the text without it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

Kind: TypeAlias = Literal["name", "phone", "email", "address", "card", "iban", "id", "passport", "account"]
KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True, slots=True)
class Found:
    """Personal data from character `start` to before `end`."""

    kind: Kind
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Masked:
    """A text in which placeholders such as `<PHONE 1>` stand for personal data.

    found  where it stood in the text that was given, in order; spans do not overlap
    """

    text: str
    found: tuple[Found, ...]


Finder: TypeAlias = Callable[[str], Iterable[Found]]
"""Finds personal data of one or more kinds in a folded text (`strop.privacy.folded`). What it finds may overlap."""
