"""Public names: how a class or function is named in a run's files, independent of the module that defines it.

Runs outlive strop's file layout. So they hold `strop.algorithms.GRPO.Config`, never the module that defines it;
`strop.recipes.two_words.SmallTalk` for what a recipe defines, or `recipe.said_b` if the run has a copy of the recipe
file; and `package.module.name` for anything else.
"""

from __future__ import annotations

import importlib
import pkgutil
from types import FunctionType
from typing import Any

from strop import loader
from strop.public import HOME, ROOMS


def public_name(thing: type | FunctionType) -> str:
    """The dotted name of a class or a function."""
    module, name = thing.__module__, thing.__qualname__
    return f"{_home(module, name.partition('.')[0])}.{name}"


def find(name: str) -> Any:
    """The object with this public name. Raises ValueError for local functions and those of `__main__`."""
    if "<" in name or name.startswith("__main__."):
        raise ValueError(f"{name} lives inside a program.")
    return pkgutil.resolve_name(name)


def short(name: str) -> str:
    """`GRPO` of `strop.algorithms.GRPO.Config`: the name to display."""
    return name.removesuffix(".Config").rpartition(".")[2]


def _home(module: str, name: str) -> str:
    """Where the class or function of a module is public; outside strop that is the module itself."""
    if name in HOME and module.startswith(HOME[name]):
        return "strop"
    home = loader.home(module, name)
    if home or not module.startswith(loader.OWN):
        return home or module
    room = module.split(".")[1]
    is_public = room in ROOMS and name in dir(importlib.import_module(f"strop.{room}"))
    assert is_public, f"{name} of {module} is part of a config, and has no public name"
    return f"strop.{room}"
