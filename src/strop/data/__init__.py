"""What is learnt from: tasks, demonstrations, preferences, episodes, pairs of texts and corpora.

Names are loaded when they are first used. The page docs/data.md shows every format.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from strop.data.curriculum import Curriculum
    from strop.data.demonstration import demonstrations
    from strop.data.learnable import Learnable
    from strop.data.tasks import from_file, from_rows, train_test_split
    from strop.data.twins import Twin, leaks, near_duplicates, without

_HOME = {
    "Curriculum": "curriculum",
    "Learnable": "learnable",
    "Twin": "twins",
    "demonstrations": "demonstration",
    "from_file": "tasks",
    "from_rows": "tasks",
    "leaks": "twins",
    "near_duplicates": "twins",
    "train_test_split": "tasks",
    "without": "twins",
}

__all__ = [
    "Curriculum",
    "Learnable",
    "Twin",
    "demonstrations",
    "from_file",
    "from_rows",
    "leaks",
    "near_duplicates",
    "train_test_split",
    "without",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"strop.data has no public name {name!r}; it has {', '.join(__all__)}")
    return getattr(importlib.import_module(f"strop.data.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return __all__
