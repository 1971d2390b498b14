"""Is the text JSON that fits a schema? By jsonschema (`pip install "strop[rewards]"`)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from typing import Any, NoReturn

from strop.types import Episode, Task, check_fields


@dataclass(frozen=True, slots=True)
class ValidJSON:
    """1 if the whole text is JSON and valid under the schema, else 0.

    schema  a JSON Schema (draft 2020-12 unless its "$schema" names another); `{}` accepts any JSON; None takes
            `task.data["schema"]`

    NaN and Infinity are no JSON, nor is a text around it, such as the fence of a code block. What Python does not read
    (nested deeper than its stack, a number of over 4300 digits) is wrong too. "format" is not checked, and a "$ref" to
    the network is never followed. For a reward in steps add `ValidJSON({})` with a small weight.

    Cheated by: the emptiest object that fits. Say "required", "minLength", "enum"; and judge the values by a reward of
    your own.
    """

    schema: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        check_fields(self)
        if find_spec("jsonschema") is None:
            raise ModuleNotFoundError('ValidJSON needs the package jsonschema: pip install "strop[rewards]"')
        if self.schema is not None:
            _validator(json.dumps(self.schema))

    def __call__(self, task: Task, episode: Episode) -> float:
        schema = task.data.get("schema") if self.schema is None else self.schema
        if not isinstance(schema, Mapping):
            raise ValueError(f'task {task.id!r}: ValidJSON() needs data["schema"], a JSON Schema.')
        validator = _validator(json.dumps(schema))
        try:
            value = json.loads(episode.text, parse_constant=_refuse)
        except (ValueError, RecursionError):
            return 0.0
        try:
            return 1.0 if validator.is_valid(value) else 0.0
        except RecursionError:  # it was shallow enough to be read, and not to be checked
            return 0.0


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")


@cache
def _validator(schema: str) -> Any:
    """The schema, checked. Its registry is empty: nothing is looked up in the network."""
    from jsonschema import Draft202012Validator, SchemaError
    from jsonschema.validators import validator_for
    from referencing import Registry

    read = json.loads(schema)
    kind = validator_for(read, default=Draft202012Validator)
    try:
        kind.check_schema(read)
    except SchemaError as error:
        raise ValueError(f"ValidJSON: this is no JSON Schema: {error.message} (at {error.json_path}).") from None
    return kind(read, registry=Registry())
