"""A config as JSON and back (`config.json`), so that a run can be resumed, evaluated and compared.

Dataclasses are written as {"class": public name, fields...}, functions and classes as {"name": public name, "source":
hash of the source}; for public names see `names`. A recipe file is the module `recipe`: the run keeps a copy of it.
Tasks and tokenizers stand in files of their own beside it.
"""

from __future__ import annotations

import dataclasses
import hashlib
import inspect
import json
import linecache
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from strop.process import ALONE, RECIPE
from strop.runs.directory import RunDirectory
from strop.runs.names import find, public_name
from strop.runs.staged import stage_name
from strop.types import Placed, Task, Tokenizer, is_place, storable

TASK_FILES = ("tasks", "held_out")
TASKS, SOURCE = "tasks", "source"
"""A list of tasks is written as {"tasks": how many}. Key of config.json's tasks for the Config of what draws them."""
TRAINED_BY = "trained_by"
"""Key of config.json for the name of the program that trained the run, if it was not strop."""


def encode(value: Any) -> Any:
    """JSON of a config, or of a part of it."""
    if isinstance(value, type) or inspect.isfunction(value):
        return {"name": public_name(value), "source": _source_hash(value)}
    if isinstance(value, Tokenizer):
        return {"tokenizer": _tokenizer_file(value), "sha256": value.sha256}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        kept = [f.name for f in dataclasses.fields(value) if f.init and not is_place(f)]
        fields = {name: encode(getattr(value, name)) for name in kept}
        return {"class": public_name(type(value)), **fields}
    if isinstance(value, Mapping):
        return {"map": {str(key): encode(item) for key, item in value.items()}}
    if _is_tasks(value):
        return {TASKS: len(value)}  # they stand in a file of their own
    if isinstance(value, tuple | list):
        return [encode(item) for item in value]
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, np.ndarray):
        return value.tolist()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return {"object": repr(value)}


def decode(value: Any, run: Path) -> Any:
    """The config of a run from its JSON. Raises ValueError for an object that only the original program can create."""
    if isinstance(value, list):
        return [decode(item, run) for item in value]
    if not isinstance(value, Mapping):
        return value
    if "class" in value:  # first: a class may have a field of any name
        kind = find(value["class"])
        fields = {f.name: decode(value[f.name], run) for f in dataclasses.fields(kind) if f.name in value}
        made = kind(**{name: _as_annotated(kind, name, item) for name, item in fields.items()})
        return made.placed_in(run) if isinstance(made, Placed) else made
    if "map" in value:
        return {key: decode(item, run) for key, item in value["map"].items()}
    if "tokenizer" in value:
        return _read_tokenizer(run / value["tokenizer"], value["sha256"])
    if "name" in value:
        return find(value["name"])
    raise ValueError(f"{value.get('object', value)} cannot be made again from config.json.")


def to_files(config: Any) -> tuple[dict[str, Any], dict[str, str]]:
    """(config.json without the tasks, {"tasks.jsonl": ..., "held_out.jsonl": ..., "tokenizer-....json": ...})."""
    spec = encode(dataclasses.replace(config, tasks=(), held_out=()))
    files = {_tokenizer_file(found): found.json for found in _tokenizers(config)}
    for name in TASK_FILES:
        given = getattr(config, name)
        text = "".join(_task_line(task) for task in _tasks_in(given))
        files[f"{name}.jsonl"] = text
        spec[name] = {"file": f"{name}.jsonl", "sha256": hashlib.sha256(text.encode()).hexdigest()}
        if not isinstance(given, Sequence):
            spec[name][SOURCE] = encode(given)
    return spec, files


def _tasks_in(value: Any) -> Iterator[Task]:
    """The tasks of a config, or of a part of it, in the order in which `encode` comes to them."""
    if _is_tasks(value):
        yield from value
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        for field in dataclasses.fields(value):
            yield from _tasks_in(getattr(value, field.name))
    elif isinstance(value, Mapping | tuple | list):
        for item in value.values() if isinstance(value, Mapping) else value:
            yield from _tasks_in(item)


def _is_tasks(value: Any) -> bool:
    return isinstance(value, tuple | list) and bool(value) and all(isinstance(item, Task) for item in value)


def _with_tasks(spec: Any, tasks: Iterator[Task]) -> Any:
    """What `encode` wrote, with the next tasks in place of each number of them."""
    if isinstance(spec, list):
        return [_with_tasks(item, tasks) for item in spec]
    if not isinstance(spec, Mapping):
        return spec
    if spec.keys() == {TASKS}:
        return list(islice(tasks, spec[TASKS]))
    inner = spec["map"] if spec.keys() == {"map"} else spec
    filled = {key: _with_tasks(item, tasks) for key, item in inner.items()}
    return {"map": filled} if inner is not spec else filled


def _decoded(name: str, spec: Any, run: Path) -> Any:
    """A field of a run's config; tasks come from their file."""
    if name not in TASK_FILES:
        return decode(spec, run)
    tasks = read_tasks(run / f"{name}.jsonl")
    return decode(_with_tasks(spec[SOURCE], iter(tasks)), run) if SOURCE in spec else tasks


def _spec_of(run: Path) -> dict[str, Any]:
    """The config.json of a run that strop trained. Raises ValueError if another program did."""
    spec = RunDirectory(run).config()
    if TRAINED_BY in spec:
        trainer = spec[TRAINED_BY]
        raise ValueError(
            f"{run} was trained by {spec['algorithm']} of {trainer}: strop shows and plots it, and only {trainer} can "
            f"load its policy, from {run / 'checkpoints'}."
        )
    return spec


def from_files(run: Path) -> Any:
    """The config of a run directory. Its copy of the recipe is loaded first, so that its functions are found."""
    spec = _spec_of(run)
    kind = find(spec["class"])
    return kind(**some_of(run, [f.name for f in dataclasses.fields(kind) if f.name in spec]))


@contextmanager
def recipe_kept() -> Iterator[None]:
    """Load another run's recipe within this context: at its end the module `recipe` is what it was, for a training
    that goes on in this process."""
    with ALONE:
        before = sys.modules.get(RECIPE)
        try:
            yield
        finally:
            if before is not None:
                sys.modules[RECIPE] = before


def some_of(run: Path, names: Sequence[str]) -> dict[str, Any]:
    """Some fields of a run's config, so that loading only the policy does not need its rewards.

    What JSON cannot describe (a lambda, an object) comes from calling `recipe()` of the run's copy of the recipe. A
    name that is not there, such as that of a package's sampler, does not: the recipe may say something else.
    """
    with ALONE:  # until every name is found in it, the module `recipe` is this run's
        return _fields_of(run, names)


def _fields_of(run: Path, names: Sequence[str]) -> dict[str, Any]:
    spec, copy = _spec_of(run), run / f"{RECIPE}.py"
    module = load_module(copy) if copy.is_file() else None
    fields = {}
    for name in names:
        try:
            fields[name] = _decoded(name, spec[name], run)
        except (ValueError, AttributeError, ImportError) as error:
            if not isinstance(error, ValueError) or not hasattr(module, RECIPE):
                raise ValueError(_unmade(run, name, error)) from error
            fields[name] = _from_recipe(module, run, name, spec[name])
    return fields


def _unmade(run: Path, name: str, error: Exception) -> str:
    """Which field cannot be made again, why, and what to do."""
    advice = "continue it where it was started from Python, with strop.train(config, directory, resume=True)."
    if not isinstance(error, ValueError):  # a name that is not there
        advice = f"install the package that gave it, or {advice}"
    reason = str(error).rstrip(".")
    return f"the config of {run} cannot be rebuilt from its files. {name}: {reason}; {advice}"


def _from_recipe(module: Any, run: Path, name: str, spec: Any) -> Any:
    """A field from the recipe, of the run's stage where it has several; rewards keep the weights of the run."""
    made = module.recipe()
    if isinstance(made, list | tuple):
        made = next((one.config for one in made if one.name == stage_name(run)), None)
    value = getattr(made, name)
    if name not in ("rewards", "gold"):
        return value
    from strop.rewards._naming import named_rewards

    made = named_rewards(value, name)
    return {key: (made[key][0], weight) for key, (_, weight) in spec["map"].items()}


def read_tasks(file: Path) -> list[Task]:
    """The tasks of a run's tasks.jsonl or held_out.jsonl."""
    return [Task(**json.loads(line)) for line in file.read_text(encoding="utf-8").split("\n") if line]


def changes(before: Mapping[str, Any], after: Mapping[str, Any], path: str = "") -> list[str]:
    """The differences of two specs, one line per field: `steps: 60 -> 200`. A source's fields are named as the user
    writes them: `tasks.unlock`."""
    lines: list[str] = []
    for key in dict.fromkeys([*before, *after]):
        owner = path.removesuffix(".")
        old, new = before.get(key), after.get(key)
        place = owner if key == SOURCE and owner in TASK_FILES else f"{path}{key}"
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            lines += changes(old, new, f"{place}.")
        elif old != new:
            lines.append(f"{place}: {json.dumps(old, ensure_ascii=False)} -> {json.dumps(new, ensure_ascii=False)}")
    return lines


def load_module(path: Path) -> ModuleType:
    """Load a recipe file under the name `recipe`. No byte code is written or trusted."""
    module = ModuleType(RECIPE)
    module.__file__ = str(path)
    sys.modules[RECIPE] = module
    linecache.checkcache(str(path))  # so that the hashed source is the one that runs
    exec(compile(path.read_bytes(), str(path), "exec"), module.__dict__)
    return module


def _tokenizers(value: Any) -> Iterator[Tokenizer]:
    """Every tokenizer in a config."""
    if isinstance(value, Tokenizer):
        yield value
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        for field in dataclasses.fields(value):
            if field.name not in TASK_FILES:
                yield from _tokenizers(getattr(value, field.name))


def _tokenizer_file(tokenizer: Tokenizer) -> str:
    """The name of its file in a run."""
    return f"tokenizer-{tokenizer.sha256[:8]}.json"


def _read_tokenizer(file: Path, sha256: str) -> Tokenizer:
    """A run's tokenizer. Raises ValueError if it is not the one that the run was made with."""
    try:
        tokenizer = Tokenizer(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"{file}: the run's tokenizer cannot be read ({error}).") from error
    if tokenizer.sha256 != sha256:
        raise ValueError(f"{file} is not the tokenizer that the run was made with: it was changed. Restore it.")
    return tokenizer


def _as_annotated(kind: type, name: str, value: Any) -> Any:
    """The value as a tuple if the field's annotation says so: JSON has only lists."""
    annotation = str(next(f.type for f in dataclasses.fields(kind) if f.name == name))
    return tuple(value) if isinstance(value, list) and "tuple" in annotation else value


def _source_hash(value: Any) -> str:
    try:
        with ALONE:
            return hashlib.sha256(inspect.getsource(value).encode()).hexdigest()[:16]
    except (OSError, TypeError):
        return "unknown"


def _task_line(task: Task) -> str:
    record = {"id": task.id, "prompt": task.prompt, "answer": task.answer, "data": dict(task.data)}
    try:
        return storable(json.dumps(record, ensure_ascii=False)) + "\n"
    except TypeError as error:
        raise ValueError(f"task {task.id}: its data must be JSON-able facts: {error}.") from None
