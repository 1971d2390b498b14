"""strop: reinforcement learning for language models, from a two-word table to a real LLM, with one loop.

Names are loaded when they are first used, so that `import strop` costs milliseconds.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from strop.public import HOME, ROOMS

if TYPE_CHECKING:
    from strop import (
        algorithms,
        baselines,
        control,
        data,
        environments,
        functional,
        learners,
        memory,
        optimizer,
        planning,
        policies,
        recipes,
        rewards,
        samplers,
        scale,
        schedules,
        users,
    )
    from strop.config import TrainConfig
    from strop.data.corpus import Corpus
    from strop.endpoint.endpoint import Endpoint
    from strop.from_scratch import pretrain, pretraining
    from strop.opening import TrainedScore, load
    from strop.run import Run, train
    from strop.runs.trained import FromFolder, FromRun, FromStage
    from strop.stages import Stage
    from strop.types import (
        Completion,
        End,
        Episode,
        Observation,
        Part,
        PerToken,
        PerTurn,
        Pick,
        Sampling,
        Source,
        Step,
        Task,
        Tokenizer,
        Turn,
        Unscored,
    )

    __version__: str

__all__ = [
    "Completion",
    "Corpus",
    "End",
    "Endpoint",
    "Episode",
    "FromFolder",
    "FromRun",
    "FromStage",
    "Observation",
    "Part",
    "PerToken",
    "PerTurn",
    "Pick",
    "Run",
    "Sampling",
    "Source",
    "Stage",
    "Step",
    "Task",
    "Tokenizer",
    "TrainConfig",
    "TrainedScore",
    "Turn",
    "Unscored",
    "algorithms",
    "baselines",
    "control",
    "data",
    "environments",
    "functional",
    "learners",
    "load",
    "memory",
    "optimizer",
    "planning",
    "policies",
    "pretrain",
    "pretraining",
    "recipes",
    "rewards",
    "samplers",
    "scale",
    "schedules",
    "train",
    "users",
]


def __getattr__(name: str) -> Any:
    if name in ROOMS:
        return importlib.import_module(f"strop.{name}")
    if name in HOME:
        return getattr(importlib.import_module(HOME[name]), name)
    if name == "__version__":
        from importlib.metadata import version  # slow to load, and seldom asked for

        return version("strop")
    raise AttributeError(f"strop has no public name {name!r}; it has {', '.join(__all__)}")


def __dir__() -> list[str]:
    return __all__
