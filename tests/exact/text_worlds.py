"""Small worlds whose values are known exactly, and the loop that plays them with a table."""

from __future__ import annotations

from typing import Any

import numpy as np

from strop.algorithms.q_learning import QLearning
from strop.batch import collate
from strop.codec import WordCodec
from strop.policies.table import Table
from strop.rollout import EmbeddedEngine, Scene
from strop.samplers.local import LocalSampler
from strop.types import End, Pick, Sampling, Step, Task

EXPLORE = Sampling(epsilon=1.0, max_tokens=1)


class Tasks:
    """The same tasks in a circle."""

    def __init__(self, tasks: list[Task]) -> None:
        self.tasks = tasks

    def next(self, n: int) -> list[Task]:
        return [self.tasks[i % len(self.tasks)] for i in range(n)]

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        pass


def train(
    environment: Any,
    words: list[str],
    tasks: list[Task],
    steps: int,
    group: int,
    order: int | None,
    change: Any = lambda one: one,
    sampling: Sampling = EXPLORE,
    kind: Any = QLearning,
    **fields: float,
) -> tuple[Table, WordCodec]:
    """A table after `steps` of the loop: rollout, collate, update."""
    policy, codec = Table.Config(words=words, order=order).build(0)
    algorithm = kind.Config(**fields).build(policy, sampling, 4096)
    scene = Scene(environment=environment, rewards={}, codec=codec, context=None, seed=3)
    engine = EmbeddedEngine(scene, LocalSampler(policy, codec.stop), sampling, group, len(tasks))
    for step in range(steps):
        episodes = [change(one) for one in engine.rollout(Tasks(tasks), step)]
        algorithm.update(collate(tuple(Pick(one) for one in episodes), policy.layout))
    return policy, codec


def q(policy: Table, codec: WordCodec, context: str, word: str) -> float:
    return float(policy.weight[policy.contexts[codec.encode(context)], codec.encode(word)[0]].item())


class TwoWords:
    """Two contexts, two words paying 1 and 2; the next context is drawn anew, and the time runs out, not the task."""

    def __init__(self, task: Task, rng: np.random.Generator) -> None:
        self.rng, self.left = rng, 10

    def start(self) -> str:
        return self._context()

    def step(self, text: str) -> Step:
        self.left -= 1
        reward = {"one": 1.0, "two": 2.0}.get(text, 0.0)
        return Step(self._context(), reward, None if self.left else End.TRUNCATED)

    def close(self) -> None:
        pass

    def _context(self) -> str:
        return ["x", "y"][self.rng.integers(2)]


WORDS = ["one", "two", "x", "y"]


LENGTH, DISCOUNT = 5, 0.9
ROOMS = [f"room{i}" for i in range(LENGTH)]


def corridor_optimum() -> dict[tuple[int, str], float]:
    """Q* of the endless corridor by value iteration."""
    value = [0.0] * LENGTH
    table: dict[tuple[int, str], float] = {}
    for _ in range(1000):
        for room in range(LENGTH - 1):
            for word, to in (("right", room + 1), ("left", max(room - 1, 0))):
                table[room, word] = 1.0 if to == LENGTH - 1 else DISCOUNT * value[to]
            value[room] = max(table[room, "right"], table[room, "left"])
    return table
