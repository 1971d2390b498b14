"""The small worlds of `strop.verify`, and the loop that plays them with a table and may change what it learns from."""

from __future__ import annotations

from typing import Any

from strop.algorithms.q_learning import QLearning
from strop.batch import collate
from strop.codec import WordCodec
from strop.policies.table import Table
from strop.rollout.engine import EmbeddedEngine
from strop.rollout.play import Scene
from strop.samplers.local import LocalSampler
from strop.types import Pick, Sampling, Task
from strop.verify.worlds import DISCOUNT, EXPLORE, LENGTH, ROOMS, WORDS, PaidWords, Tasks, corridor_optimum

__all__ = ["DISCOUNT", "EXPLORE", "LENGTH", "ROOMS", "WORDS", "PaidWords", "Tasks", "corridor_optimum", "q", "train"]


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
    **fields: Any,
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
