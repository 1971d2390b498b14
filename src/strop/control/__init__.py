"""Stable-Baselines3's algorithms with strop's run directory: control without text, and a baseline for our own.

Stable-Baselines3 owns its loop, so there are no Episodes, and a run cannot be resumed: it is shown, plotted and
compared, and its checkpoints are Stable-Baselines3's zip files. It is the extra strop[control], which only this package
imports. Names are loaded when they are first used, so that a recipe does not import torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from strop.control.config import ControlConfig
    from strop.control.model import require_stable_baselines3
    from strop.control.plan import plan_of
    from strop.control.training import ControlRun, checkpoints, train

_HOME = {
    "ControlConfig": "config",
    "ControlRun": "training",
    "checkpoints": "training",
    "plan_of": "plan",
    "require_stable_baselines3": "model",
    "train": "training",
}

__all__ = ["ControlConfig", "ControlRun", "checkpoints", "plan_of", "require_stable_baselines3", "train"]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"strop.control has no public name {name!r}; it has {', '.join(__all__)}")
    return getattr(importlib.import_module(f"strop.control.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return __all__
