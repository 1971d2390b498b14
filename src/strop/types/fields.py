"""Check the fields of a record against their annotations.

Most configs in Python never see a type checker: a learning rate that is a text, or a count of 2.5, would otherwise fail
deep inside a step. Only types are checked here; each record checks the range of its numbers itself.
"""

from __future__ import annotations

import collections.abc
import dataclasses
import sys
import types
import typing
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

_WORDS = {int: "an int", float: "a float", str: "a text", bool: "True or False"}
_SHOWN = 60


def check_fields(record: Any) -> None:
    """Raise ValueError for the first field that does not fit its annotation. `__post_init__` calls this first."""
    kind: Any = type(record)
    for name, hint in _hints(kind):
        if flaw := _flaw(f"{kind.__qualname__}.{name}", getattr(record, name), hint):
            raise ValueError(flaw)


@cache
def _hints(kind: Any) -> tuple[tuple[str, Any], ...]:
    """Each field and its type, without fields whose annotation uses names that only type checkers import."""
    return tuple((f.name, hint) for f in dataclasses.fields(kind) if (hint := field_type(kind, f.name)) is not None)


def field_type(kind: type, name: str) -> Any:
    """The type of a field, which `kind` or a base declares; None if it uses names that only type checkers import."""
    declaring = next(base for base in kind.__mro__ if name in vars(base).get("__annotations__", {}))
    alone = type(kind.__name__, (), {"__annotations__": {name: vars(declaring)["__annotations__"][name]}})
    module = sys.modules.get(declaring.__module__)  # code that is run from a text has none
    try:
        return typing.get_type_hints(alone, dict(vars(module)) if module else {})[name]
    except NameError:
        return None


def _flaw(place: str, value: object, hint: Any) -> str:
    """What is wrong, and what is allowed; empty if the value fits."""
    if typing.get_origin(hint) is collections.abc.Sequence and _is_list(value):
        inner = typing.get_args(hint)[0]
        flaws = (_flaw(f"{place}[{i}]", item, inner) for i, item in enumerate(typing.cast("Sequence[object]", value)))
        return next(filter(None, flaws), "")
    return "" if _fits(value, hint) else f"{place}={shown(value)}: it is {_words(hint)}."


def _fits(value: object, hint: Any) -> bool:
    origin, options = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return any(_fits(value, option) for option in options)
    if origin is typing.Literal:
        return type(value) in map(type, options)  # each record checks the allowed words itself
    if origin is collections.abc.Sequence:
        return _is_list(value) and all(_fits(item, options[0]) for item in typing.cast("Sequence[object]", value))
    if origin is tuple:
        return isinstance(value, tuple | list) and _tuple_fits(value, options)
    if origin is collections.abc.Mapping:
        return isinstance(value, Mapping)
    if origin is collections.abc.Callable:
        return callable(value)
    if hint is None or hint is type(None):
        return value is None
    if hint in (int, float):
        return isinstance(value, int if hint is int else (int, float)) and not isinstance(value, bool)
    return not isinstance(hint, type) or _is_a(value, hint)


def _is_a(value: object, kind: type) -> bool:
    """Whether it is an instance. A class has the methods of a runtime-checkable protocol, but is no instance of it."""
    return isinstance(value, kind) and not (_is_protocol(kind) and isinstance(value, type))


def _is_protocol(kind: type) -> bool:
    return typing.Protocol in kind.__bases__


def _is_list(value: object) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


def _tuple_fits(values: Sequence[object], hints: tuple[Any, ...]) -> bool:
    """The items of a tuple: one type each, or one for all."""
    if hints[-1] is Ellipsis:
        return all(_fits(value, hints[0]) for value in values)
    return len(values) == len(hints) and all(_fits(value, hint) for value, hint in zip(values, hints, strict=True))


def _words(hint: Any) -> str:
    """The allowed type, in words."""
    origin, options = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(dict.fromkeys(_words(option) for option in options))
    if origin is typing.Literal:
        return " or ".join(repr(option) for option in options)
    if origin is tuple and options[-1] is not Ellipsis:
        return f"({', '.join(_words(option) for option in options)})"
    if origin in (collections.abc.Sequence, tuple):
        return f"a list in which each is {_words(options[0])}"
    if origin is collections.abc.Callable:
        return "a function"
    if origin is collections.abc.Mapping:
        return "a dict"
    if hint in (None, type(None)):
        return "None"
    return _WORDS.get(hint) or (f"a {hint.__name__}" if _is_protocol(hint) else f"{hint.__qualname__}(...)")


def shown(value: object) -> str:
    """A value in one short line."""
    try:
        text = " ".join(repr(value).split())
    except Exception as error:  # the boundary to a user's __repr__; Python itself refuses ints of 4300 digits
        return f"<{type(value).__name__}, which cannot be shown: {error}>"
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
