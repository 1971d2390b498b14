"""A run repeated, and a run resumed: bit-identical checkpoint, metrics and episodes.

Two small runs in a temporary folder cover what a run keeps between steps: weights, moments of the optimiser, the
weight of a KL controller, a replay memory with priorities, a reward's own dice, the tasks' order.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor

from strop.algorithms.dqn import DQN
from strop.algorithms.ppo import PPO
from strop.config import TrainConfig
from strop.functional.divergences import KL, KLController
from strop.memory import Prioritised
from strop.optimizer import AdamW
from strop.policies.scratch import Scratch
from strop.policies.table import Table
from strop.run import Run, train
from strop.runs.progress import Progress
from strop.types import Episode, Sampling, Task
from strop.verify.checks import Gap

WORDS = ("red", "blue", "green")
STEPS, BREAK = 4, 2


class NoisyCopy:
    """Pays the right word, and draws from the global generator as a user's reward may."""

    def __call__(self, task: Task, episode: Episode) -> float:
        return float(episode.text == task.answer) + 0.01 * random.random()

    def __repr__(self) -> str:
        return "NoisyCopy()"


def configs() -> dict[str, TrainConfig]:
    """The two runs."""
    adam = AdamW(lr=0.01, warmup_steps=3)
    common: dict[str, Any] = {
        "tasks": [Task(word, word, answer=word) for word in WORDS],
        "rewards": {"noisy": NoisyCopy()},
        "group_size": 4,
        "prompts_per_step": 2,
        "checkpoint_every": BREAK,
        "threads": torch.get_num_threads(),
    }
    return {
        "PPO, a transformer": TrainConfig(
            policy=Scratch(words=WORDS, num_layers=1, width=8, num_heads=2, context=8, value_head=True),
            algorithm=PPO.Config(optimizer=adam, kl=KL(weight=0.05), kl_controller=KLController(target=1.0), epochs=2),
            sampling=Sampling(max_tokens=2),
            **common,
        ),
        "DQN, a table, prioritised replay": TrainConfig(
            policy=Table.Config(words=WORDS, has_end=True),
            algorithm=DQN.Config(optimizer=adam, target_every=3),
            memory=Prioritised.Config(capacity=12, size=4, num_draws=2),
            sampling=Sampling(epsilon=0.5, max_tokens=2),
            **common,
        ),
    }


def check_same_seed() -> Iterator[Gap]:
    """run: bit-identical from the same seed (differing numbers; I11)."""
    yield from repeated((STEPS,))


def check_resume() -> Iterator[Gap]:
    """run: bit-identical when stopped half-way and resumed (differing numbers; I11)."""
    yield from repeated((BREAK, STEPS))


def repeated(stops: Sequence[int]) -> Iterator[Gap]:
    """Run each config in one go, then again in parts that end at `stops`."""
    for name, config in configs().items():
        with TemporaryDirectory() as folder, torch_left_alone():
            whole = done(config, Path(folder, "whole"), (STEPS,))
            again = done(config, Path(folder, "again"), stops)
            yield Gap(float(differences(facts(whole), facts(again))), 0.0, name)


def done(config: TrainConfig, path: Path, stops: Sequence[int]) -> Run:
    """The run, resumed after each of `stops` but the last."""
    for i, steps in enumerate(stops):
        run = train(replace(config, steps=steps), path, resume=i > 0, progress=Progress.silent())
    return run


def facts(run: Run) -> list[Any]:
    """The last checkpoint, the metrics but for time and memory, and the episodes."""
    step, state = run.directory.load("latest")
    metrics = [
        {name: x for name, x in row.items() if not name.startswith(("time/", "memory/"))} for row in run.metrics()
    ]
    return [step, state, metrics, run.episodes()]


def differences(a: Any, b: Any) -> int:
    """How many leaves of two nested records are not equal to the last bit."""
    if type(a) is not type(b):
        return 1
    if isinstance(a, Tensor):
        return int(a.dtype != b.dtype or not torch.equal(a, b))
    if isinstance(a, Mapping):
        return len(a.keys() ^ b.keys()) + sum(differences(a[key], b[key]) for key in a.keys() & b.keys())
    if isinstance(a, list | tuple):
        return abs(len(a) - len(b)) + sum(differences(x, y) for x, y in zip(a, b, strict=False))
    if is_dataclass(a):
        return sum(differences(getattr(a, field.name), getattr(b, field.name)) for field in fields(a))
    return int(a != b and not (a != a and b != b))


@contextmanager
def torch_left_alone() -> Iterator[None]:
    """Restore the threads and modes of torch, which a run sets."""
    threads, is_fixed = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    warns = torch.is_deterministic_algorithms_warn_only_enabled()
    filled = torch.utils.deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(is_fixed, warn_only=warns)
        torch.utils.deterministic.fill_uninitialized_memory = filled  # type: ignore[attr-defined]
