"""The public names of `strop` itself: where each is defined, and the rooms. Runs on disk use them too."""

from __future__ import annotations

HOME = {
    "Corpus": "strop.data.corpus",
    "Endpoint": "strop.endpoint.endpoint",
    "FromFolder": "strop.runs.trained",
    "FromRun": "strop.runs.trained",
    "FromStage": "strop.runs.trained",
    "Run": "strop.run",
    "Stage": "strop.stages",
    "TrainConfig": "strop.config",
    "TrainedScore": "strop.opening",
    "load": "strop.opening",
    "pretrain": "strop.from_scratch",
    "pretraining": "strop.from_scratch",
    "train": "strop.run",
} | dict.fromkeys(
    (
        "Completion",
        "End",
        "Episode",
        "Observation",
        "Part",
        "PerToken",
        "PerTurn",
        "Pick",
        "Sampling",
        "Source",
        "Step",
        "Task",
        "Tokenizer",
        "Turn",
        "Unscored",
    ),
    "strop.types",
)
"""The public names of strop itself, and where each is imported from."""
ROOMS = (
    "algorithms",
    "baselines",
    "control",
    "data",
    "environments",
    "functional",
    "learners",
    "memory",
    "optimizer",
    "planning",
    "policies",
    "recipes",
    "rewards",
    "samplers",
    "scale",
    "schedules",
    "users",
)
"""The rooms whose names are public: `strop.algorithms.GRPO`."""
