"""Check the type and range of each TrainConfig field, with advice on what to write instead."""

from __future__ import annotations

import dataclasses
import inspect
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from strop import loader
from strop.baselines._naming import named_baselines
from strop.rewards._naming import named_rewards
from strop.types import (
    AlgorithmConfig,
    MemoryConfig,
    PolicyConfig,
    SamplerConfig,
    Task,
    TaskSourceConfig,
    check_fields,
    shown,
)

if TYPE_CHECKING:
    from strop.config import TrainConfig

COMPONENTS = {
    "policy": ("policies", "Transformer", PolicyConfig),
    "algorithm": ("algorithms", "GRPO", AlgorithmConfig),
    "sampler": ("samplers", "LocalSampler", SamplerConfig),
    "memory": ("memory", "Replay", MemoryConfig),
}
"""Fields that hold the Config of a class: the room of the class, one class of it, and the Config's protocol."""
NO_LIST = (
    "a file of tasks is data='file.jsonl', and a source that draws them by what became of them is a Config such as "
    "strop.data.Curriculum(levels=[easy, hard])"
)
"""What `tasks` may be beside a list, in words."""
MOST_EPISODES = 1_000_000
"""Of one step, whose episodes are all in memory."""
LARGEST = {
    "group_size": MOST_EPISODES,
    "prompts_per_step": MOST_EPISODES,
    "steps": 10**9,
    "eval_every": 10**9,
    "patience": 10**9,
    "checkpoint_every": 10**9,
    "micro_tokens": 10**9,
    "seed": 2**64 - 1,  # what torch's generators take
}


def check_kinds(config: TrainConfig) -> None:
    """Raise ValueError for the first field with a value of the wrong type."""
    for name, (room, usual, protocol) in COMPONENTS.items():
        value = getattr(config, name)
        is_open = (name == "policy" and isinstance(value, str)) or (name == "memory" and value is None)
        if not is_open and not _is_config(value, protocol):
            meant = loader.nearest(room, value) or usual
            raise ValueError(
                f"{name}={shown(value)}: it is a Config, such as strop.{room}.{meant}.Config(...). One of your own is "
                f"a dataclass that inherits strop.types.{protocol.__name__}."
            )
    _check_build("algorithm", config.algorithm, "policy, sampling, micro_tokens, seed", "the seed of the run")
    if not isinstance(config.policy, str):
        _check_build("policy", config.policy, "seed, dtype, device", "a device such as cpu or cuda:0")
    if not callable(config.environment):
        raise ValueError(
            f"environment={shown(config.environment)}: it is a class or a function that is called as "
            "environment(task, rng) for each episode, such as strop.environments.SingleTurn."
        )
    if _is_config(config.tasks, TaskSourceConfig):
        _check_build("tasks", config.tasks, "seed", "the seed of the run")  # type: ignore[arg-type]
    else:
        _check_tasks("tasks", config.tasks)
    _check_tasks("held_out", config.held_out)
    named_rewards(config.rewards, "rewards")
    named_rewards(config.gold, "gold")
    named_baselines(config.baselines)
    check_fields(config)


def _is_config(value: object, protocol: type) -> bool:
    """Whether it has the protocol, and can be written into a run's config."""
    return dataclasses.is_dataclass(value) and not isinstance(value, type) and isinstance(value, protocol)


def _check_build(
    field: str, config: AlgorithmConfig | PolicyConfig | TaskSourceConfig, arguments: str, last: str
) -> None:
    """Check a user's own algorithm, policy or task source now, not only when it is built. `last` is the last argument,
    in words."""
    kind: Any = type(config)
    own = [name for name, hint in vars(kind).get("__annotations__", {}).items() if "ClassVar" not in str(hint)]
    if lost := set(own) - {field.name for field in dataclasses.fields(kind)}:
        raise ValueError(
            f"{field}={kind.__qualname__} declares {min(lost)}, which is no field without "
            "@dataclass(frozen=True, slots=True, kw_only=True) above the class."
        )
    signature = inspect.signature(config.build)
    try:
        signature.bind(*arguments.split(", "))
    except TypeError:
        raise ValueError(
            f"{field}={kind.__qualname__} has build{signature}: it is called as build({arguments}), with {last}."
        ) from None


def _check_tasks(name: str, tasks: object) -> None:
    if isinstance(tasks, str) or not isinstance(tasks, Sequence):
        also = f"; {NO_LIST}" if name == "tasks" else ""
        raise ValueError(f"{name}={shown(tasks)}: it is a list of strop.Task{also}.")
    for i, task in enumerate(tasks):
        if not isinstance(task, Task):
            raise ValueError(f"{name}[{i}]={shown(task)}: it is a strop.Task(id, prompt, answer, data).")


def check_numbers(config: TrainConfig) -> None:
    """Raise ValueError for the first count or time that is out of its range."""
    for name in ("group_size", "prompts_per_step", "checkpoint_every", "micro_tokens"):
        if getattr(config, name) < 1:
            raise ValueError(f"{name}={getattr(config, name)}: it is at least 1.")
    for name in ("steps", "seed", "eval_every", "patience"):
        if getattr(config, name) < 0:
            raise ValueError(f"{name}={getattr(config, name)}: it cannot be negative.")
    for name, largest in LARGEST.items():
        if getattr(config, name) > largest:
            raise ValueError(f"{name}={getattr(config, name)}: it is at most {largest:,}.")
    if config.minutes is not None and not 0.0 < config.minutes < math.inf:
        raise ValueError(f"minutes={config.minutes}: it is positive and finite; none sets no limit beside steps.")
    if config.prompts_per_step * config.group_size > MOST_EPISODES:
        raise ValueError(
            f"prompts_per_step={config.prompts_per_step} and group_size={config.group_size}: a step plays at most "
            f"{MOST_EPISODES:,} episodes, and these are {config.prompts_per_step * config.group_size:,}."
        )
    for name in ("environment_seconds", "reward_seconds"):
        if not 0.0 < getattr(config, name) < math.inf:
            raise ValueError(f"{name}={getattr(config, name)}: it is positive and finite.")
