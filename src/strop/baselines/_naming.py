"""The forms in which a config may give its baselines, and the name of each."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from strop.types import Baseline, Fits, shown

BaselineSet: TypeAlias = "Sequence[Baseline | Fits] | Mapping[str, Baseline | Fits]"
Baselines: TypeAlias = "Mapping[str, Baseline | Fits]"


def named_baselines(baselines: BaselineSet) -> Baselines:
    """Each baseline with a name: in a list, that of its function or class."""
    if isinstance(baselines, Mapping):
        named = list(baselines.items())
    elif isinstance(baselines, Sequence) and not isinstance(baselines, str):
        named = [(_name_of(one), one) for one in baselines]
    else:
        raise ValueError(
            f"baselines={shown(baselines)}: it is a list, baselines=[function], or a dict, "
            "baselines={'name': function}."
        )
    for name, one in named:
        _check_name(name)
        _check_baseline(name, one)
    if twice := [name for i, (name, _) in enumerate(named) if name in dict(named[:i])]:
        raise ValueError(f"baselines holds two called {twice[0]!r}: give names, baselines={{'a': ..., 'b': ...}}.")
    return dict(named)


def _name_of(one: object) -> str:
    return one.__name__ if inspect.isfunction(one) else type(one).__name__.lower()


def _check_name(name: object) -> None:
    if not isinstance(name, str) or not name.strip() or "/" in name:
        raise ValueError(f"baselines holds the name {name!r}: a name is a text without a slash.")


def _check_baseline(name: str, one: object) -> None:
    """Refuse what cannot be asked for an action, before anything is played."""
    if isinstance(one, Fits) and not isinstance(one, type):
        return
    if isinstance(one, type) or not callable(one):
        raise ValueError(
            f"baselines[{name!r}] is {shown(one)}: it is a function (task, seen) -> str, or an object with fit(tasks) "
            "that returns one."
        )
    try:
        signature = inspect.signature(one)
    except (TypeError, ValueError):  # some builtins have no signature
        return
    try:
        signature.bind("task", "seen")
    except TypeError:
        raise ValueError(
            f"baselines[{name!r}] is called with (task, seen), and takes {signature}: seen is a strop.Observation."
        ) from None
