"""What kind of thing each field of a TrainConfig takes, and what to write where another one was given."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from strop import loader
from strop.rewards._naming import named_rewards
from strop.types import AlgorithmConfig, MemoryConfig, PolicyConfig, SamplerConfig, Task, check_fields, shown

if TYPE_CHECKING:
    from strop.config import TrainConfig

COMPONENTS = {
    "policy": ("policies", "Transformer", PolicyConfig),
    "algorithm": ("algorithms", "GRPO", AlgorithmConfig),
    "sampler": ("samplers", "LocalSampler", SamplerConfig),
    "memory": ("memory", "Replay", MemoryConfig),
}
"""Fields that hold the Config of a class: the room where it is found, one of the room, and what a Config promises."""


def check_kinds(config: TrainConfig) -> None:
    """Raise ValueError for the first field that holds something of another kind."""
    for name, (room, usual, promise) in COMPONENTS.items():
        value = getattr(config, name)
        is_open = (name == "policy" and isinstance(value, str)) or (name == "memory" and value is None)
        if not is_open and (isinstance(value, type) or not isinstance(value, promise)):
            meant = loader.nearest(room, value) or usual
            raise ValueError(f"{name}={shown(value)}: it is a Config, such as strop.{room}.{meant}.Config(...).")
    if not callable(config.environment):
        raise ValueError(
            f"environment={shown(config.environment)}: it is a class or a function that is called as "
            "environment(task, rng) for each episode, such as strop.environments.SingleTurn."
        )
    _check_tasks("tasks", config.tasks)
    _check_tasks("held_out", config.held_out)
    named_rewards(config.rewards, "rewards")
    named_rewards(config.gold, "gold")
    check_fields(config)


def _check_tasks(name: str, tasks: object) -> None:
    if isinstance(tasks, str) or not isinstance(tasks, Sequence):
        also = "; a file of tasks is data='file.jsonl'" if name == "tasks" else ""
        raise ValueError(f"{name}={shown(tasks)}: it is a list of strop.Task{also}.")
    for i, task in enumerate(tasks):
        if not isinstance(task, Task):
            raise ValueError(f"{name}[{i}]={shown(task)}: it is a strop.Task(id, prompt, answer, data).")
