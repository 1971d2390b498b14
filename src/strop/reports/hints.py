"""What may be typed for a field: its type hint, and that hint in words."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Sequence
from typing import Any

from strop.types.fields import field_type

ROOMS = {"algorithm": "algorithms", "sampler": "samplers", "memory": "memory"}
"""Fields that hold a component, which may be set by its name, and the package it comes from."""
LISTS = (tuple, list, Sequence)


def hint_of(record: Any, name: str, old: Any) -> Any:
    """The type hint of a field; where it uses names that only type checkers import, the type of the value."""
    found = field_type(type(record), name)
    return type(old) if found is None else found


def words_for(hint: Any) -> str:
    """What may be typed for this type, such as "a whole number"; empty if nothing can be."""
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        typed = [words_for(option) for option in typing.get_args(hint)]
        return " or ".join(word for word in dict.fromkeys(typed) if word)
    if typing.get_origin(hint) is typing.Literal:
        return " or ".join(map(str, typing.get_args(hint)))
    if hint in (None, type(None)):
        return "none"
    if is_component(hint):
        return str(hint.__name__).lower()
    if typing.get_origin(hint) in LISTS:
        return "a list such as a,b" if words_for(typing.get_args(hint)[0]) else ""
    named = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}
    return named.get(hint, "") if isinstance(hint, type) else ""


def room_of(name: str, hint: Any) -> str:
    """The package of a field's components; empty for a plain text (the algorithm's name in a ControlConfig)."""
    return ROOMS.get(name, "") if hint is not str else ""


def is_component(hint: Any) -> bool:
    """Whether it is a record whose fields all have defaults, such as AdamW: its name may be typed."""
    if not (isinstance(hint, type) and dataclasses.is_dataclass(hint)):
        return False
    return all(f.default is not f.default_factory for f in dataclasses.fields(hint))
