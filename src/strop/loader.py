"""Find what a room holds by reading its files: no registry, no decorator, and no import until something is used.

A room is a folder of strop (`algorithms`, `environments`, `policies`, `recipes`, `rewards`, `samplers`, `verify`).
Third parties add to it by an entry point in the group `strop.<room>` that names a module; it is found the same way.
"""

from __future__ import annotations

import ast
import difflib
import functools
import importlib
import importlib.util
import pkgutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Module:
    """One file of a room: its name, where it is imported from, what it defines, and its first line of documentation."""

    name: str
    place: str
    summary: str
    functions: tuple[str, ...]
    classes: tuple[str, ...]
    configured: tuple[str, ...]
    """The classes that hold a `Config`."""
    summaries: Mapping[str, str] = field(default_factory=dict)
    """The first line of documentation of each function and class."""


def modules(room: str) -> list[Module]:
    """The room's files in order of their names, strop's own before third parties'."""
    return list(_modules(room))


def load(room: str, name: str) -> Any:
    """A public class or function of a room by its name. Raises AttributeError naming the nearest one."""
    known = _known(room)
    if name in known:
        return getattr(importlib.import_module(known[name]), name)
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]}?" if near else f"it has {', '.join(sorted(known))}."
    raise AttributeError(f"strop.{room} has no {name!r}; {hint}")


def nearest(room: str, given: object) -> str:
    """The class of this room, of those with a `Config`, that a text or a class most likely means; or nothing."""
    if not isinstance(given, str | type):
        return ""
    name = given if isinstance(given, str) else given.__qualname__.split(".")[0]
    found = {name.lower(): name for name in configured(room)}
    near = difflib.get_close_matches(name.lower(), found, n=1)
    return found[near[0]] if near else ""


def names(room: str) -> list[str]:
    """What `load` gives, in order: what a room's `dir()` lists."""
    return sorted(_known(room))


def configured(room: str) -> list[str]:
    """The classes of a room that hold a `Config`, in order: what a recipe puts together."""
    return sorted(name for module in _modules(room) for name in module.configured)


def _known(room: str) -> dict[str, str]:
    """Every public name of a room, and the module that defines it."""
    return {public: module.place for module in _modules(room) for public in (*module.classes, *module.functions)}


def _modules(room: str) -> Iterator[Module]:
    folder = Path(__file__).parent / room
    for info in pkgutil.iter_modules([str(folder)]):
        if not info.name.startswith("_"):
            yield _read(info.name, f"strop.{room}.{info.name}", folder / f"{info.name}.py")
    for entry in sorted(entry_points(group=f"strop.{room}"), key=lambda entry: entry.name):
        try:
            found = importlib.util.find_spec(entry.module)
        except ImportError:  # the package that it should be in is not there either
            found = None
        if found is None or found.origin is None:
            raise ImportError(f"the entry point {entry.name} of strop.{room} names {entry.module}, which is not there.")
        yield _read(entry.name, entry.module, Path(found.origin))


@functools.cache
def _read(name: str, place: str, file: Path) -> Module:
    tree = ast.parse(file.read_text(encoding="utf-8"), str(file))
    public = [
        node for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_")
    ]
    classes = [node for node in public if isinstance(node, ast.ClassDef)]
    configured = [
        node
        for node in classes
        if any(isinstance(inner, ast.ClassDef) and inner.name == "Config" for inner in node.body)
    ]
    summaries = {node.name: _first_line(node) for node in public}
    functions = tuple(node.name for node in public if isinstance(node, ast.FunctionDef))
    return Module(name, place, _first_line(tree), functions, _names(classes), _names(configured), summaries)


def _first_line(node: ast.Module | ast.FunctionDef | ast.ClassDef) -> str:
    return (ast.get_docstring(node) or "").split("\n")[0]


def _names(nodes: list[ast.ClassDef]) -> tuple[str, ...]:
    return tuple(node.name for node in nodes)
