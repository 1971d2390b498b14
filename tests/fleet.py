"""Small runs on Ray: one cluster for all tests of a process, and runs that can be compared to the bit."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import strop
from strop.runs.directory import RunDirectory
from strop.runs.state import same

WORDS = ("red", "blue", "green", "black")
NOT_EQUAL = ("time/", "memory/", "engine/")
"""What two runs of one config need not have in common."""


LEFT_BEHIND = "ignore::pytest.PytestUnraisableExceptionWarning"
"""Where Ray takes too long to start it is begun again: the garbage collector finds the processes of the first start."""


def first_word(task: strop.Task, episode: strop.Episode) -> float:
    """1 for the answer as the first word."""
    return float(episode.text.split()[:1] == [task.answer])


def config(**changed) -> strop.TrainConfig:
    """A tiny transformer that learns to say a word again."""
    usual = {
        "policy": strop.policies.Scratch(words=WORDS, num_layers=1, width=16, num_heads=2, context=16),
        "tasks": [strop.Task(id=word, prompt=word, answer=word) for word in WORDS],
        "rewards": [first_word],
        "algorithm": strop.algorithms.GRPO.Config(optimizer=strop.optimizer.AdamW(lr=1e-2)),
        "sampling": strop.Sampling(max_tokens=2),
        "group_size": 4,
        "prompts_per_step": 3,
        "steps": 4,
        "checkpoint_every": 2,
        "threads": 1,
    }
    return strop.TrainConfig(**{**usual, **changed})


def ray_of(**changed) -> strop.scale.Ray:
    """Two replicas, with more patience than a busy machine needs."""
    return strop.scale.Ray(**{"replicas": 2, "start_seconds": 300.0, **changed})


@contextmanager
def cluster(processors: int = 4) -> Iterator[None]:
    """A Ray of this process, which its runs find and leave alone."""
    from strop.scale.cluster import connect, disconnect

    connect(strop.scale.Ray(replicas=1, start_seconds=300.0), processors)
    try:
        yield
    finally:
        disconnect()


def assert_equal_runs(one: Path, other: Path) -> None:
    """Equal checkpoints, but for what an engine plays ahead; equal rows; equal metrics, but for time and engine."""
    first, second = RunDirectory.open(one), RunDirectory.open(other)
    assert first.checkpoints.steps() == second.checkpoints.steps()
    for step in first.checkpoints.steps():
        assert same(*({**of.checkpoints.load(step), "random": None} for of in (first, second)))
    with first.reader() as a, second.reader() as b:
        assert a.episodes("train") == b.episodes("train")
        assert comparable(a.metrics()) == comparable(b.metrics())


def comparable(metrics: list[dict[str, float]]) -> list[dict[str, float]]:
    """The metrics of two runs that must be equal."""
    return [{name: one[name] for name in one if not name.startswith(NOT_EQUAL)} for one in metrics]
