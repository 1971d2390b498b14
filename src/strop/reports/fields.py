"""Every field of a config: path, type, value, default and meaning."""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, dataclass
from typing import Any

from strop import loader
from strop.reports.hints import hint_of, is_component, room_of, words_for
from strop.rewards._naming import named_rewards
from strop.rewards.group import GroupReward
from strop.types import is_place

IN_FILE = "set in a recipe file"
_ROW = re.compile(r"(\w+(?:, \w+)*)(?:  +(\S.*))?")


@dataclass(frozen=True, slots=True)
class Field:
    """One field. `default` is empty where it is the value; `choices` are the names that a component may have."""

    path: str
    type: str
    value: str
    default: str
    meaning: str
    choices: tuple[str, ...] = ()

    @property
    def line(self) -> str:
        """`steps=60`, or `policy: Table` where it cannot be typed."""
        return f"{self.path}{': ' if self.type in ('', IN_FILE) else '='}{self.value}"


def fields_of(config: Any) -> list[Field]:
    """The fields of a config and of its components, in the order of their classes."""
    return list(_walk(config, _with_defaults(type(config)), ""))


def meanings(kind: type) -> dict[str, str]:
    """The meaning of each field, from the tables in the docstrings of a class and its bases."""
    names = {f.name for f in dataclasses.fields(kind)}
    found: dict[str, str] = {}
    for one in reversed(kind.__mro__):
        found |= meanings_in(one.__doc__ or "", names)
    return found


def meanings_in(text: str, names: set[str]) -> dict[str, str]:
    """The rows `name  what it means` of a docstring; continuation lines are indented."""
    found: dict[str, str] = {}
    last: list[str] = []
    for line in inspect.cleandoc(text).split("\n"):
        row = _ROW.fullmatch(line)
        if row and set(row[1].split(", ")) <= names:
            last = row[1].split(", ")
            found |= dict.fromkeys(last, row[2] or "")
        elif line.startswith(" ") and last:
            found |= {name: f"{found[name]} {line.strip()}".strip() for name in last}
        else:
            last = []
    return found


def _walk(record: Any, defaults: Any, path: str) -> Iterator[Field]:
    """The fields of a record; `defaults` is a record with default values, None if some fields have none."""
    meaning = meanings(type(record))
    for f in dataclasses.fields(record):
        if is_place(f):
            continue
        value, default = getattr(record, f.name), _default_value(f, defaults)
        hint = hint_of(record, f.name, value)
        yield Field(
            path=f"{path}{f.name}",
            type=_type(f.name, hint, value),
            value=shown(value),
            default=_shown_default(value, default),
            meaning=meaning.get(f.name, ""),
            choices=_choices(f.name, hint),
        )
        yield from _inside(f.name, value, default, f"{path}{f.name}.")


def _inside(name: str, value: Any, default: Any, path: str) -> Iterator[Field]:
    """The weights of rewards, or the fields of a component; a model's name means a Transformer.Config."""
    if name == "policy" and isinstance(value, str):
        from strop.runs.trained import named_policy

        value = named_policy(value)
    if name in ("rewards", "gold"):
        for key, (reward, weight) in named_rewards(value, name).items():
            yield Field(f"{path}{key}", "a number", f"{weight:g}", "", f"weight of this reward: {_first_line(reward)}")
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        yield from _walk(value, default if type(default) is type(value) else _with_defaults(type(value)), path)


def _default_value(f: dataclasses.Field[Any], defaults: Any) -> Any:
    if defaults is not None:
        return getattr(defaults, f.name)
    if f.default_factory is not MISSING:
        return f.default_factory()
    return f.default


def _shown_default(value: Any, default: Any) -> str:
    """The default as text, where it differs from the value; empty for a list or mapping that has to be given."""
    if (
        default is MISSING
        or (isinstance(default, Sequence | Mapping) and not default)
        or shown(default) == shown(value)
    ):
        return ""
    return shown(default)


def _with_defaults(kind: type) -> Any:
    """A record with default values; None if a field has no default."""
    needs = [f for f in dataclasses.fields(kind) if f.default is MISSING and f.default_factory is MISSING]
    return None if needs else kind()


def _type(name: str, hint: Any, value: Any) -> str:
    """What may be typed for it; empty for a record, whose fields are set one by one."""
    if room_of(name, hint):
        return "a name"
    if name == "policy" and not isinstance(value, str):
        return IN_FILE
    return "" if is_component(hint) else words_for(hint) or IN_FILE


def _choices(name: str, hint: Any) -> tuple[str, ...]:
    """The names of the components that the field takes; for a policy, the classes to use in a recipe file."""
    if name == "policy" and hint is not str:
        return tuple(f"strop.policies.{one}" for one in loader.configured("policies"))
    room = room_of(name, hint)
    return tuple(one.name for one in loader.modules(room) if one.configured) if room else ()


def shown(value: Any) -> str:
    """A value as it is typed, or a summary of what only a recipe file can set."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, int | str):
        return str(value)
    if isinstance(value, Sequence | Mapping):
        plain = isinstance(value, Sequence) and len(value) <= 4 and all(isinstance(v, int | float | str) for v in value)
        return ",".join(map(shown, value)) if plain and value else f"{len(value)} of them"
    kind = value if isinstance(value, type) or inspect.isfunction(value) else type(value)
    return str(kind.__qualname__).removesuffix(".Config")


def _first_line(reward: Any) -> str:
    inner = reward.score if isinstance(reward, GroupReward) else reward
    kind = inner if inspect.isfunction(inner) else type(inner)
    return (inspect.getdoc(kind) or str(kind.__qualname__)).split("\n")[0]
