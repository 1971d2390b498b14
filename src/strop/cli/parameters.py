"""The parameters of a recipe's function as fields of the command line: `strop train translate target=de`."""

from __future__ import annotations

import dataclasses
import difflib
import inspect
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from strop.reports.fields import Field


def taken(function: Callable[..., Any], overrides: Sequence[str]) -> tuple[dict[str, Any], list[str]]:
    """(arguments for the function, the overrides that are none of its parameters).

    A parameter comes before a field of the same name. Raises ValueError for a value of another type, and for a name
    that is nearly one.
    """
    from strop.cli.overrides import value_of
    from strop.reports.hints import words_for

    hints, arguments, left = _hints(function), dict[str, Any](), list[str]()
    for override in overrides:
        name, _, text = override.partition("=")
        if name not in hints:
            _refuse_nearly(override, name, hints)
            left.append(override)
            continue
        try:
            arguments[name] = value_of(text, hints[name])
        except ValueError:
            allowed = words_for(hints[name]) or "set in Python only"
            raise ValueError(f"{override}: allowed is {allowed}.") from None
    return arguments, left


def parameters_of(function: Callable[..., Any], arguments: Mapping[str, Any]) -> tuple[Field, ...]:
    """Its parameters, with the values of these arguments; what they mean stands in its docstring."""
    from strop.reports.fields import Field, meanings_in, shown
    from strop.reports.hints import words_for

    hints, defaults = _hints(function), inspect.signature(function).parameters
    meaning = meanings_in(inspect.getdoc(function) or "", set(hints))
    found = []
    for name, hint in hints.items():
        default = shown(defaults[name].default)
        value = shown(arguments[name]) if name in arguments else default
        found.append(Field(name, words_for(hint), value, "" if value == default else default, meaning.get(name, "")))
    return tuple(found)


def _refuse_nearly(override: str, name: str, hints: Mapping[str, Any]) -> None:
    """Raise ValueError for a name that is nearly a parameter's, and no field of a config."""
    near = difflib.get_close_matches(name, hints, n=1)
    if near and "." not in name and name not in _config_fields():
        raise ValueError(f"{override}: there is no field {name!r}; did you mean {near[0]}?")


def _config_fields() -> set[str]:
    from strop.config import TrainConfig
    from strop.control import ControlConfig

    return {field.name for kind in (TrainConfig, ControlConfig) for field in dataclasses.fields(kind)}


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    """The parameters that have a default, and their types; without an annotation, the type of the default."""
    function = inspect.unwrap(function)
    if not inspect.isfunction(function):
        return {}
    found = {name: one for name, one in inspect.signature(function).parameters.items() if one.default is not one.empty}
    written = {name: one.annotation for name, one in found.items() if one.annotation is not one.empty}
    types = typing.get_type_hints(type("Parameters", (), {"__annotations__": written}), function.__globals__)
    return {name: types.get(name, type(one.default)) for name, one in found.items()}
