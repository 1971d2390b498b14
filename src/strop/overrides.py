"""`path.to.field=value` on the command line: typed by the field it names, and an error where there is no such field."""

from __future__ import annotations

import dataclasses
import difflib
import importlib
import json
import types
import typing
from collections.abc import Sequence
from typing import Any, TypeVar

from strop import loader

T = TypeVar("T")
NONE = ("none", "null")
WORDS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}


def apply(config: T, overrides: Sequence[str]) -> T:
    """The config with every `path=value` set. Raises ValueError naming the nearest field for an unknown one."""
    for override in overrides:
        path, equals, text = override.partition("=")
        if not equals or not path:
            raise ValueError(f"{override!r} is not of the form path.to.field=value, for example steps=20.")
        config = _set(config, path.split("."), text, path)
    return config


def _set(record: Any, path: list[str], text: str, whole: str) -> Any:
    name, *rest = path
    if not dataclasses.is_dataclass(record) or isinstance(record, type):
        raise ValueError(f"{whole}: {type(record).__name__} has no fields; set it as a whole.")
    names = [f.name for f in dataclasses.fields(record)]
    if name not in names:
        near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]}?" if near else f"allowed are {', '.join(names)}."
        raise ValueError(f"{whole}: {_name(record)} has no field {name!r}; {hint}")
    old = getattr(record, name)
    new = _set(old, rest, text, whole) if rest else _parse(text, record, name, old, whole)
    return dataclasses.replace(record, **{name: new})


def _parse(text: str, record: Any, name: str, old: Any, whole: str) -> Any:
    if name == "algorithm":
        return _algorithm(text)
    hint = typing.get_type_hints(type(record), _namespace(type(record))).get(name, type(old))
    try:
        return _value(text, hint)
    except ValueError:
        raise ValueError(f"{whole}={text}: a value of type {_words(hint)} is needed, like {old!r}.") from None


def _value(text: str, hint: Any) -> Any:
    """The text as the first type of the hint that takes it."""
    origin, options = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return _first(text, options)
    if origin is typing.Literal:
        return next(option for option in options if str(option) == text) if text in map(str, options) else _refuse()
    if hint in (None, type(None)):
        return None if text.lower() in NONE else _refuse()
    if hint is bool:
        return WORDS[text.lower()] if text.lower() in WORDS else _refuse()
    if hint is int:
        return int(text)
    if hint is float:
        return float(text)
    if hint is str:
        return text
    if origin in (tuple, list) or hint in (tuple, list):
        items = json.loads(text) if text.startswith("[") else text.split(",")
        kind = options[0] if options else str
        values = [_value(str(item), kind) for item in items]
        return tuple(values) if (origin or hint) is tuple else values
    return _refuse()


def _first(text: str, options: tuple[Any, ...]) -> Any:
    """Numbers and none before plain text, whatever order the union is written in."""
    for option in sorted(options, key=lambda option: option is str):
        try:
            return _value(text, option)
        except ValueError:
            continue
    return _refuse()


def _refuse() -> Any:
    raise ValueError


def _algorithm(text: str) -> Any:
    """`algorithm=rloo`: an algorithm by its name, with its own defaults."""
    found = {name.lower(): name for module in loader.modules("algorithms") for name in module.configured}
    if text.lower() not in found:
        near = difflib.get_close_matches(text.lower(), found, n=1)
        hint = f"did you mean {found[near[0]]}?" if near else f"allowed are {', '.join(sorted(found.values()))}."
        raise ValueError(f"algorithm={text}: there is no such algorithm; {hint}")
    return loader.load("algorithms", found[text.lower()]).Config()


def _namespace(kind: type) -> dict[str, Any]:
    """The names that a class's annotations may use: its module's, and what only type checkers import."""
    return dict(vars(importlib.import_module(kind.__module__)))


def _name(record: Any) -> str:
    return type(record).__qualname__.removesuffix(".Config")


def _words(hint: Any) -> str:
    return hint.__name__ if isinstance(hint, type) else str(hint).replace("typing.", "")
