"""`path.to.field=value` on the command line: parsed by the type of the field, with an error for an unknown field."""

from __future__ import annotations

import dataclasses
import difflib
import json
import types
import typing
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from strop import loader
from strop.reports.hints import LISTS, ROOMS, hint_of, is_component, room_of, words_for
from strop.types import is_place

if TYPE_CHECKING:
    from strop.stages import Stage

T = TypeVar("T")
Tree: TypeAlias = "dict[str, Any]"
WHOLE = ""
"""The key under which a tree holds the text for the field itself; the other keys are fields inside it."""
NONE = ("none", "null")
WORDS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}


def apply(config: T, overrides: Sequence[str]) -> T:
    """The config with every `path=value` set at once. Raises ValueError naming the nearest field for an unknown one."""
    tree: Tree = {}
    for override in overrides:
        path, equals, text = override.partition("=")
        if not equals or not path:
            raise ValueError(f"{override!r} is not of the form path.to.field=value, for example steps=20.")
        at = tree
        for name in path.split("."):
            at = at.setdefault(name, {})
        at[WHOLE] = text
    changed: T = _set(config, tree, "")
    return changed


def apply_to_stages(stages: Sequence[Stage], overrides: Sequence[str]) -> list[Stage]:
    """The stages with every `STAGE.path=value` set. Raises ValueError naming the nearest stage for an unknown one."""
    given: dict[str, list[str]] = {stage.name: [] for stage in stages}
    for override in overrides:
        name, _, field = override.partition(".")
        if name not in given or "=" in name:
            near = difflib.get_close_matches(name, given, n=1, cutoff=0.4) if field else []
            hint = f"did you mean {near[0]}.{field}?" if near else f"as in {stages[-1].name}.steps=20."
            raise ValueError(f"{override}: a field begins with its stage ({', '.join(given)}); {hint}")
        given[name].append(field)
    changed = []
    for stage in stages:
        try:
            changed.append(dataclasses.replace(stage, config=apply(stage.config, given[stage.name])))
        except ValueError as error:
            raise ValueError(f"stage {stage.name}: {error}") from error
    return changed


def _set(record: Any, tree: Tree, path: str) -> Any:
    """The record with the tree's values. They are set together: one alone may contradict the present values."""
    if not dataclasses.is_dataclass(record) or isinstance(record, type):
        raise ValueError(
            f"{path}{next(iter(tree))}: {path[:-1]} is {record!r}, which has no fields; set it as a whole."
        )
    names = [f.name for f in dataclasses.fields(record) if not is_place(f)]
    new: dict[str, Any] = {}
    for name, below in tree.items():
        whole = f"{path}{name}"
        if name not in names:
            near = _inside(record, name) or difflib.get_close_matches(name, names, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]}?" if near else f"allowed are {', '.join(names)}."
            raise ValueError(f"{whole}: {_name(record)} has no field {name!r}; {hint}")
        value, inner = getattr(record, name), {key: item for key, item in below.items() if key != WHOLE}
        if WHOLE in below:
            value = _parse(below[WHOLE], record, name, value, whole)
        new[name] = _set_inside(name, value, inner, f"{whole}.") if inner else value
    if "data" in new:  # a file of tasks replaces the recipe's own
        new = {"tasks": (), "held_out": ()} | new
    return dataclasses.replace(record, **new)


def _inside(record: Any, name: str) -> list[str]:
    """`algorithm.epochs` of `epochs`: where a component has a field of that very name."""
    found = []
    for field in dataclasses.fields(record):
        value = getattr(record, field.name)
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            found += [f"{field.name}.{name}" for inner in dataclasses.fields(value) if inner.name == name]
    return found


def _set_inside(name: str, value: Any, tree: Tree, path: str) -> Any:
    """Set fields inside a field. A model's name becomes a Transformer.Config; inside rewards, weights are set."""
    if name == "policy" and isinstance(value, str):
        from strop.runs.trained import named_policy

        value = named_policy(value)
    if name in ("rewards", "gold") and isinstance(value, Mapping | list | tuple):
        return _reweighted(name, value, tree, path)
    return _set(value, tree, path)


def _reweighted(what: str, rewards: Any, tree: Tree, path: str) -> Any:
    """`rewards.length=0.5` sets a weight."""
    from strop.rewards._naming import named_rewards

    named = dict(named_rewards(rewards, what))
    for name, below in tree.items():
        if name not in named:
            near = difflib.get_close_matches(name, named, n=1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(named)}."
            raise ValueError(f"{path}{name}: there is no reward {name!r}; {hint}")
        try:
            named[name] = (named[name][0], float(below[WHOLE]))
        except (KeyError, ValueError):
            raise ValueError(f"{path}{name}: its weight is a number, for example {path}{name}=0.5.") from None
    return named


def _parse(text: str, record: Any, name: str, old: Any, whole: str) -> Any:
    hint = hint_of(record, name, old)
    if room_of(name, hint) and not (name == "memory" and text.lower() in NONE):
        return _component(name, text)
    try:
        return value_of(text, hint)
    except ValueError:
        allowed = words_for(hint)
        if not allowed:
            raise ValueError(f"{whole}={text}: this cannot be set from the command line; set it in a recipe.") from None
        raise ValueError(f"{whole}={text}: allowed is {allowed}{_current(old)}.") from None


def value_of(text: str, hint: Any) -> Any:
    """The text as a value of this type. Raises ValueError where it is none."""
    origin, options = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return _union(text, options)
    if origin is typing.Literal:
        return next(option for option in options if str(option) == text) if text in map(str, options) else _refuse()
    if hint in (None, type(None)):
        return None if text.lower() in NONE else _refuse()
    if hint is bool:
        return WORDS[text.lower()] if text.lower() in WORDS else _refuse()
    if hint is int:
        return _integer(text)
    if hint is float:
        return float(text)
    if hint is str:
        return text
    if is_component(hint):
        return hint() if text.lower() == hint.__name__.lower() else _refuse()
    if origin in LISTS or hint in (tuple, list):
        items = json.loads(text) if text.startswith("[") else text.split(",")
        kind = options[0] if options else str
        values = [value_of(str(item), kind) for item in items]
        return tuple(values) if (origin or hint) is tuple else values
    return _refuse()


def _integer(text: str) -> int:
    """An integer, also as 1e3."""
    if "e" not in text.lower():
        return int(text)
    number = float(text)
    return int(number) if number.is_integer() else _refuse()


def _union(text: str, options: tuple[Any, ...]) -> Any:
    """The text as a member of a union: numbers and none come before text, a list only if it is written as one."""
    is_written_as_list = "," in text or text.startswith("[")

    def rank(option: Any) -> int:
        if option is str:
            return 1
        return 0 if is_written_as_list or typing.get_origin(option) not in LISTS else 2

    for option in sorted(options, key=rank):
        try:
            return value_of(text, option)
        except ValueError:
            continue
    return _refuse()


def _refuse() -> Any:
    raise ValueError


def _component(field: str, text: str) -> Any:
    """`algorithm=rloo`, `memory=replay`: a component by its class or file name, with its defaults."""
    modules = loader.modules(ROOMS[field])
    found = {module.name: name for module in modules for name in module.configured}
    found |= {name.lower(): name for module in modules for name in module.configured}
    if text.lower() not in found:
        near = difflib.get_close_matches(text.lower(), found, n=1)
        hint = f"did you mean {found[near[0]]}?" if near else f"allowed are {', '.join(sorted(set(found.values())))}."
        raise ValueError(f"{field}={text}: there is no such {field}; {hint}")
    return loader.load(ROOMS[field], found[text.lower()]).Config()


def _name(record: Any) -> str:
    return type(record).__qualname__.removesuffix(".Config")


def _current(old: Any) -> str:
    """The present value, if it is short enough to show."""
    text = "none" if old is None else str(old)
    return f"; it is {text} now" if len(text) < 40 else ""
