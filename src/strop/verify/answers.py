"""Learning runs on two tasks through the engine, with the extra episodes that an algorithm asks for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from strop.batch import collate
from strop.environments.single_turn import SingleTurn
from strop.policies.table import Table
from strop.rollout.engine import EmbeddedEngine
from strop.rollout.play import Scene
from strop.samplers.local import LocalSampler
from strop.types import Episode, Pick, Sampling, State, Stopped, Task
from strop.verify.checks import Gap
from strop.verify.learning import TASKS, WANTED, WORDS, chance_of, share_right

Reward = Callable[[Task, Episode], float]


class _Tasks:
    """The two tasks, again and again."""

    def next(self, n: int) -> list[Task]:
        return TASKS[:n]

    def observe(self, episodes: Sequence[Episode]) -> None:
        """Outcomes change nothing."""

    def measures(self) -> dict[str, float]:
        return {}

    def state_dict(self) -> State:
        return {}

    def load_state_dict(self, state: State) -> None:
        """Never resumed."""


def engaged(config: Any, policy: Any, codec: Any, steps: int, seed: int, *rewards: Reward) -> None:
    """`steps` rounds of 16 answers to each task, of at most 3 words; or fewer, once no group has signal."""
    named = {f"r{i}": (reward, 1.0) for i, reward in enumerate(rewards or (share_right,))}
    sampling = Sampling(max_tokens=3)
    algorithm = config.build(policy, sampling, 4096)
    scene = Scene(environment=SingleTurn, rewards=named, codec=codec, context=policy.context, seed=seed)
    engine = EmbeddedEngine(scene, LocalSampler(policy, codec.stop), sampling, 16, len(TASKS), config.extras)
    for step in range(steps):
        try:
            episodes = engine.rollout(_Tasks(), step)
        except Stopped:  # by DAPO, once the tasks are solved
            return
        algorithm.update(collate(tuple(Pick(one) for one in episodes), policy.layout))


def answered(config: Any, steps: int, seed: int, *rewards: Reward) -> Gap:
    """1 minus the probability of the less likely of the two right answers, with its end token; 35/36 at first."""
    policy, codec = Table.Config(words=WORDS, has_end=True).build(seed)
    engaged(config, policy, codec, steps, seed, *rewards)
    return Gap(1.0 - min(chance_of(policy, codec, prompt, answer) for prompt, answer in WANTED.items()), 0.1)
