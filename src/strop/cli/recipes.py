"""From the command line to a config: a recipe by name or file, and its overrides."""

from __future__ import annotations

import difflib
import functools
import importlib
import os
import re
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, cast

from strop import loader
from strop.cli import parameters
from strop.cli.errors import Problem, Usage

if TYPE_CHECKING:
    from strop.config import TrainConfig
    from strop.control import ControlConfig
    from strop.reports.fields import Field
    from strop.stages import Stage

C = TypeVar("C")
Function: TypeAlias = "Callable[..., TrainConfig | ControlConfig | list[Stage]]"
LISTED = "strop train RECIPE --fields"
"""The command that lists what can be set."""
_OVERRIDE = re.compile(r"([a-z0-9_][a-z0-9_-]*\.)?[A-Za-z_]\w*(\.\w+)*=")
"""A field, perhaps of a stage."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """A recipe's config, or its stages, with the overrides set. `text` is its file's, where it is one; `typed` is how
    it was named, `function` what made the config, and `parameters` are that function's, as fields."""

    typed: str
    name: str
    config: TrainConfig | ControlConfig | list[Stage]
    function: Function
    parameters: tuple[Field, ...] = ()
    text: str = ""


def split(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """(plain words, overrides of the form path.to.field=value)."""
    overrides = [word for word in words if _OVERRIDE.match(word)]
    return [word for word in words if word not in overrides], overrides


def names() -> list[str]:
    """The names of all recipes."""
    return [module.name for module in loader.modules("recipes") if "recipe" in module.functions]


def find(typed: str, overrides: Sequence[str] = ()) -> Recipe:
    """The recipe of this name or file. Raises Usage for an unknown name, Problem for an error in the file."""
    if typed.endswith(".py") or os.sep in typed:
        path = Path(typed)
        function = _in_file(path)
        return _made(typed, path.stem, function, overrides, path.read_text(encoding="utf-8"))
    known = {module.name: module.place for module in loader.modules("recipes") if "recipe" in module.functions}
    if typed not in known:
        near = difflib.get_close_matches(typed, known, n=1)
        file = f"{typed}.py" if Path(f"{typed}.py").is_file() else ""
        guess = near[0] if near else file
        raise Usage(
            f"there is no recipe {typed!r}" + (f"; did you mean {guess}?" if guess else "."),
            hint=f"give {', '.join(sorted(known))}, or a file: path/to/file.py (strop new my.py writes one)",
        )
    return _made(typed, typed, importlib.import_module(known[typed]).recipe, overrides)


def changed(function: Function, overrides: Sequence[str]) -> TrainConfig | ControlConfig | list[Stage]:
    """What a recipe's function makes with these overrides: first its own parameters, then the fields of the config."""
    arguments, left = _taken(function, overrides)
    return override(function(**arguments), left)


def _made(typed: str, name: str, function: Function, overrides: Sequence[str], text: str = "") -> Recipe:
    config = changed(function, overrides)
    fields = parameters.parameters_of(function, _taken(function, overrides)[0])
    return Recipe(typed, name, config, function, fields, text)


def _taken(function: Function, overrides: Sequence[str]) -> tuple[dict[str, Any], list[str]]:
    try:
        return parameters.taken(function, overrides)
    except ValueError as error:
        raise Usage(str(error), hint=f"{LISTED} lists every field") from error


def trainable(typed: str, overrides: Sequence[str] = ()) -> TrainConfig:
    """The config of a recipe that strop's own loop trains; of several stages the last one's."""
    from strop.config import TrainConfig
    from strop.stages import last_config

    config = find(typed, overrides).config
    if isinstance(config, list):
        return last_config(config)
    if not isinstance(config, TrainConfig):
        raise Usage(f"{typed} is run by Stable-Baselines3: it has no texts to judge.", hint=f"strop train {typed}")
    return config


def override(config: C, overrides: Sequence[str], listed: str = LISTED) -> C:
    """The config, or the stages, with the overrides set. Raises Usage where one cannot be; `listed` is the command that
    lists them."""
    from strop.cli.overrides import apply, apply_to_stages

    try:
        changed: Any = apply_to_stages(config, overrides) if isinstance(config, list) else apply(config, overrides)
    except ValueError as error:
        raise Usage(str(error), hint=f"{listed} lists every field") from error
    return cast(C, changed)


def _in_file(path: Path) -> Function:
    """The function of a recipe file. What it raises names the line, and what it returns is checked."""
    from strop.runs.spec import load_module

    if not path.is_file():
        near = difflib.get_close_matches(path.name, [file.name for file in Path(path.parent).glob("*.py")], n=1)
        guess = f"; did you mean {path.with_name(near[0])}?" if near else "."
        raise Usage(f"there is no recipe file {path}{guess}", hint="strop new my.py writes one to start from")
    folder = str(path.parent.absolute())
    if folder not in sys.path:
        sys.path.insert(0, folder)  # a recipe may import the files beside it, as a script may
    module = _guarded(path, lambda: load_module(path))
    if not callable(getattr(module, "recipe", None)):
        raise Problem(f"{path} defines no function recipe().", hint="def recipe() -> strop.TrainConfig: ...")

    @functools.wraps(module.recipe)
    def recipe(**arguments: Any) -> TrainConfig | ControlConfig | list[Stage]:
        return _checked(path, _guarded(path, lambda: module.recipe(**arguments)))

    return recipe


def _checked(path: Path, config: Any) -> TrainConfig | ControlConfig | list[Stage]:
    """What the function of a recipe file returned. Raises Problem for what is neither a config nor stages."""
    from strop.config import TrainConfig
    from strop.control import ControlConfig
    from strop.stages import check_stages

    if isinstance(config, list | tuple):
        _guarded(path, lambda: check_stages(config))
        return list(config)
    if not isinstance(config, TrainConfig | ControlConfig):
        raise Problem(
            f"{path}: recipe() returned {config!r:.60}.",
            hint="it returns a strop.TrainConfig(...), or a list of strop.Stage",
        )
    return config


def _guarded(path: Path, call: Callable[[], Any]) -> Any:
    """The boundary to user code: what it raises becomes a Problem that names the line."""
    try:
        return call()
    except SyntaxError as error:
        raise Problem(
            f"{error.filename or path}, line {error.lineno}: {error.msg}: {(error.text or '').strip()}"
        ) from error
    except (Exception, SystemExit) as error:
        if isinstance(error, ImportError) and "pip install" in str(error):
            raise
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
        where = f"{path}, line {lines[-1]}" if lines else str(path)
        raise Problem(f"{where}: {type(error).__name__}: {error}") from error
