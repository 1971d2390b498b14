"""Find what a room holds by reading its files: no registry, no decorator, and no import until something is used.

A room is a folder of strop. Third parties add to it by an entry point in the group `strop.<room>` that names a module,
or with `module:Name` one class or function of it; it is found the same way. A name may be defined by only one file of a
room: two are an error that names both.
"""

from __future__ import annotations

import ast
import difflib
import functools
import importlib
import importlib.util
import os
import pkgutil
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from strop.process import ALONE

OWN = "strop."
NAMED = (
    "algorithms",
    "baselines",
    "environments",
    "functional",
    "learners",
    "memory",
    "planning",
    "policies",
    "rewards",
    "samplers",
    "users",
)
"""Rooms whose classes and functions have public names: `strop.<room>.<name>`."""
FILES = ("recipes",)
"""Rooms whose files have public names: `strop.<room>.<file>`, and `strop.<room>.<file>.<name>` for what is in them."""
PER_FILE = ("examples",)
"""Names that every file may define for itself; they are not public."""


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

    @property
    def public(self) -> list[str]:
        """The public names that it adds to its room."""
        return [name for name in (*self.classes, *self.functions) if name not in PER_FILE]


def modules(room: str) -> list[Module]:
    """The room's files in order of their names, strop's own first. Raises ValueError if two define the same name."""
    found = [*_own_modules(room), *(_module_of(entry) for entry in plug_ins() if entry.group == OWN + room)]
    _refuse_twice(room, [(module.name, module.place) for module in found])
    if room in NAMED:
        _refuse_twice(room, [(name, module.place) for module in found for name in module.public])
    return found


def plug_ins() -> list[EntryPoint]:
    """The entry points of third parties, room by room in order of their names.

    They are searched for again when a package came or went: when a folder of `sys.path` has changed."""
    return list(_plug_ins(tuple((place, _changed(place)) for place in sys.path)))


@functools.lru_cache(maxsize=1)
def _plug_ins(places: tuple[tuple[str, int | None], ...]) -> tuple[EntryPoint, ...]:
    found = entry_points()
    rooms = sorted(group for group in found.groups if group.startswith(OWN))
    return tuple(entry for room in rooms for entry in sorted(found.select(group=room), key=lambda entry: entry.name))


def _changed(place: str) -> int | None:
    """When something was last added to a folder, or taken from it, in nanoseconds; None where there is no folder."""
    return os.stat(place or ".").st_mtime_ns if os.path.isdir(place or ".") else None


def load(room: str, name: str) -> Any:
    """A public class or function of a room by its name. Raises AttributeError naming the nearest one."""
    return getattr(importlib.import_module(_looked_up(room, name, _known(room))), name)


def load_file(room: str, name: str) -> Any:
    """The module of a room's file by its name. Raises AttributeError naming the nearest one."""
    return importlib.import_module(_looked_up(room, name, {module.name: module.place for module in modules(room)}))


def home(place: str, name: str) -> str:
    """Where a class or function of the module `place` is public, such as `strop.algorithms`; empty if it is not."""
    for room, module in _rooms_of(place):
        if room in FILES:
            return f"{OWN}{room}.{module.name}"
        if room in NAMED and name in module.public:
            return f"{OWN}{room}"
    return ""


def nearest(room: str, given: object) -> str:
    """The class with a `Config` in this room whose name is nearest to a text or a class; empty if none is near."""
    if not isinstance(given, str | type):
        return ""
    name = given if isinstance(given, str) else given.__qualname__.split(".")[0]
    found = {name.lower(): name for name in configured(room)}
    near = difflib.get_close_matches(name.lower(), found, n=1)
    return found[near[0]] if near else ""


def names(room: str) -> list[str]:
    """The public names of a room in order, for its `dir()`."""
    return sorted(_known(room))


def configured(room: str) -> list[str]:
    """The classes of a room that hold a `Config`, in order: the components that a recipe combines."""
    return sorted(name for module in modules(room) for name in module.configured)


def _known(room: str) -> dict[str, str]:
    """Every public name of a room, and the module that defines it."""
    return {public: module.place for module in modules(room) for public in module.public}


def _refuse_twice(room: str, found: list[tuple[str, str]]) -> None:
    """Raise ValueError for a name that is defined twice: its meaning would depend on the order of the files."""
    places: dict[str, str] = {}
    for name, place in found:
        if name in places:
            twice = f"{OWN}{room} has {name} twice, in {places[name]} and in {place}"
            raise ValueError(f"{twice}: rename one, or remove its package.")
        places[name] = place


def _looked_up(room: str, name: str, known: Mapping[str, str]) -> str:
    if name in known:
        return known[name]
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]}?" if near else f"it has {', '.join(sorted(known))}."
    raise AttributeError(f"{OWN}{room} has no {name!r}; {hint}")


def _rooms_of(place: str) -> Iterator[tuple[str, Module]]:
    """The rooms of a module: one for a file of strop, one per entry point for a third party's."""
    if place.startswith(OWN):
        room = place.removeprefix(OWN).partition(".")[0]
        yield from ((room, module) for module in _own_modules(room) if module.place == place)
    else:
        named = [entry for entry in plug_ins() if entry.module == place]
        yield from ((entry.group.removeprefix(OWN), _module_of(entry)) for entry in named)


@functools.cache
def _own_modules(room: str) -> tuple[Module, ...]:
    folder = Path(__file__).parent / room
    files = [info.name for info in pkgutil.iter_modules([str(folder)]) if not info.name.startswith("_")]
    return tuple(_read(name, f"{OWN}{room}.{name}", folder / f"{name}.py") for name in files)


def _module_of(entry: EntryPoint) -> Module:
    """What an entry point adds to its room. Raises ImportError if what it names is not there."""
    try:
        found = importlib.util.find_spec(entry.module)
    except ImportError:  # its package is missing too
        found = None
    if found is None or found.origin is None:
        raise ImportError(f"the entry point {entry.name} of {entry.group} names {entry.module}, which is not there.")
    module = _read(entry.name, entry.module, Path(found.origin))
    return _only(entry, module) if entry.attr else module


def _only(entry: EntryPoint, module: Module) -> Module:
    """The module with the one name that its entry point gives."""
    if entry.attr not in module.public:
        raise ImportError(
            f"the entry point {entry.name} of {entry.group} names {entry.value}, but {entry.module} does not define "
            f"{entry.attr}: name the module that does."
        )
    functions, classes, configured = (
        tuple(name for name in names if name == entry.attr)
        for names in (module.functions, module.classes, module.configured)
    )
    return replace(module, functions=functions, classes=classes, configured=configured)


@functools.cache
def _read(name: str, place: str, file: Path) -> Module:
    with ALONE:
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
