"""Every algorithm of the folder, found by module: a new file is covered by every test that uses these."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from dataclasses import fields
from typing import Any

import strop.algorithms
from strop.functional.divergences import KL
from strop.optimizer import SGD
from strop.types import Sampling


def algorithms() -> list[Any]:
    """The algorithm classes: those with a nested Config that builds one."""
    found = []
    for module in pkgutil.iter_modules(strop.algorithms.__path__):
        loaded = importlib.import_module(f"strop.algorithms.{module.name}")
        for _, kind in inspect.getmembers(loaded, inspect.isclass):
            if kind.__module__ == loaded.__name__ and hasattr(getattr(kind, "Config", None), "build"):
                found.append(kind)
    return found


def is_tabular(kind: Any) -> bool:
    """Q-learning corrects a table in place and has no optimiser."""
    return "optimizer" not in {field.name for field in fields(kind.Config)}


def is_off_policy(kind: Any) -> bool:
    """It bootstraps from action values, learns from anybody's actions and needs no log-probs of them."""
    return getattr(kind.Config, "off_policy", False)


GRADIENT = [kind for kind in algorithms() if not is_tabular(kind)]
VALUE_BASED = [kind for kind in GRADIENT if is_off_policy(kind)]
ON_POLICY = [kind for kind in GRADIENT if kind.Config.reads == "tasks" and not is_off_policy(kind)]


def learner(
    kind: Any, policy: Any, micro_tokens: int = 4096, optimizer: Any = None, kl: KL | None = None, **more: Any
) -> Any:
    """The algorithm with SGD(lr=1), and the given KL where it has one."""
    names = {field.name for field in fields(kind.Config)}
    given = {"optimizer": optimizer or SGD(lr=1.0), **({} if kl is None else {"kl": kl}), **more}
    config = kind.Config(**{name: value for name, value in given.items() if name in names})
    return config.build(policy, Sampling(temperature=0.8, max_tokens=8), micro_tokens)
