"""Public names: what users write for a class or a function, whichever file it stands in today.

What a run writes down outlives the files of strop. So `strop.algorithms.GRPO.Config` is written, never the module that
defines it; a recipe's own things are `strop.recipes.two_words.SmallTalk`, or `recipe.said_b` where the run keeps a copy
of the file; what a person imports from elsewhere is `package.module.name`.
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
    place, name = thing.__module__, thing.__qualname__
    return f"{_home(place, name.partition('.')[0])}.{name}"


def find(name: str) -> Any:
    """What has this public name. A local function or a program's own (`__main__`) cannot be found again."""
    if "<" in name or name.startswith("__main__."):
        raise ValueError(f"{name} lives inside a program.")
    return pkgutil.resolve_name(name)


def short(name: str) -> str:
    """`GRPO` of `strop.algorithms.GRPO.Config`: how it is told to a person."""
    return name.removesuffix(".Config").rpartition(".")[2]


def _home(place: str, name: str) -> str:
    """Where a module's class or function is public. Everybody else's is where its module says."""
    if name in HOME and place.startswith(HOME[name]):
        return "strop"
    home = loader.home(place, name)
    if home or not place.startswith(loader.OWN):
        return home or place
    room = place.split(".")[1]
    is_public = room in ROOMS and name in dir(importlib.import_module(f"strop.{room}"))
    assert is_public, f"{name} of {place} is part of a config, and has no public name"
    return f"strop.{room}"
