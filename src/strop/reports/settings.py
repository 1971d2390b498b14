"""A config's fields as they are typed: `algorithm.kl.weight=0.02` can be pasted after `strop train RECIPE`.

What cannot be set on the command line (a function, a long list) is shown as `policy.words (40 values)`.
"""

from __future__ import annotations

import dataclasses
import json
import shlex
from collections.abc import Mapping
from typing import Any

from strop.runs.names import short
from strop.runs.spec import SOURCE, TASKS, TRAINED_BY, encode
from strop.types import Tokenizer, is_place
from strop.words import plural

MOST_VALUES = 8
UNTYPED = ("tasks", "held_out", "environment", "rewards", "gold", "baselines")
"""Fields of a TrainConfig that the plan has lines of its own for. Those of a task source can be typed."""
NAMES = ("model",)
"""Fields that say what a component is: listed even where they are the default."""


def every_setting(spec: Mapping[str, Any], path: str = "") -> list[str]:
    """All fields of an encoded config, such as a run's config.json, in order."""
    lines = []
    for name, value in spec.items():
        if not path and name == TASKS and (source := _source_in(value)):
            lines += every_setting(source, f"{TASKS}.")
            continue
        if name in ("class", TRAINED_BY) or (not path and name in UNTYPED and not isinstance(value, str)):
            continue
        if not path and name == "data" and value is None:
            continue
        inner = isinstance(value, Mapping) and "class" in value
        lines += every_setting(value, f"{path}{name}.") if inner else [_typed(f"{path}{name}", value)]
    return lines


def _source_in(tasks: Any) -> Mapping[str, Any]:
    """The Config of a task source, in an encoded config or in a run's config.json; empty if they are a list."""
    spec: Mapping[str, Any] = tasks.get(SOURCE, tasks) if isinstance(tasks, Mapping) else {}
    return spec if "class" in spec else {}


def changed_settings(config: Any) -> list[str]:
    """The fields of a TrainConfig that differ from the defaults of the component that they belong to.

    The computing type, the device and the threads are left out: a resolved config always has them, given or not.
    """
    hidden = [name for name in UNTYPED if name != TASKS or not dataclasses.is_dataclass(config.tasks)]
    return _changed(config, None, "", (*hidden, "dtype", "device", "threads"))


def _changed(record: Any, expected: Any, path: str, skipped: tuple[str, ...] = ()) -> list[str]:
    """`expected` is the default record; if it is of another class, the record's own defaults count."""
    lines = []
    for one in dataclasses.fields(record):
        if one.name in skipped or not one.init or is_place(one):
            continue
        value, field_path = getattr(record, one.name), f"{path}{one.name}"
        default = getattr(expected, one.name) if type(expected) is type(record) else _default(one)
        if dataclasses.is_dataclass(value) and not isinstance(value, type | Tokenizer):
            lines += _changed(value, default, f"{field_path}.")
        elif one.name in NAMES or encode(value) != encode(default):
            lines.append(_typed(field_path, encode(value)))
    return lines


def _default(field: dataclasses.Field[Any]) -> Any:
    return field.default_factory() if callable(field.default_factory) else field.default


def _typed(path: str, value: Any) -> str:
    if isinstance(value, Mapping) and value.keys() == {TASKS}:
        return f"{path} ({plural(value[TASKS], 'value')})"
    if isinstance(value, Mapping):
        return f"{path} ({_summary(value) or 'none'})"
    if isinstance(value, list) and (len(value) > MOST_VALUES or any(isinstance(item, list | dict) for item in value)):
        return f"{path} ({len(value)} values)"
    return shlex.quote(f"{path}={_text(value)}")


def _summary(value: Mapping[str, Any]) -> str:
    """A summary of an encoded mapping, function, class or object."""
    if "map" in value:
        return ", ".join(value["map"])
    return short(value["name"]) if "name" in value else str(value.get("object", value.get("tokenizer", "")))


def _text(value: Any) -> str:
    if isinstance(value, list):
        plain = value and not any(
            isinstance(item, str) and (not item or "," in item or item[0] == "[") for item in value
        )
        return ",".join(map(_text, value)) if plain else json.dumps(value, ensure_ascii=False)
    if value is None or isinstance(value, bool):
        return {None: "none", True: "true", False: "false"}[value]
    return str(value)
