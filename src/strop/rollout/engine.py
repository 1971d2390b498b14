"""Rollout engines: the embedded one samples in this process, the offline one is for algorithms that learn from data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from strop.rollout.play import Scene, play
from strop.rollout.quota import Quota
from strop.types import (
    Batching,
    Episode,
    Extras,
    Policy,
    Sampler,
    Sampling,
    State,
    Task,
    TaskSource,
)


class InProcess:
    """What engines have in common that hold nothing outside of this process, and play nothing ahead."""

    def status(self) -> str:
        """Nothing: what happens in this process needs no words."""
        return ""

    def news(self) -> list[str]:
        """None."""
        return []

    def measures(self) -> Mapping[str, float]:
        """None: a step's time is its rollout and its update."""
        return {}

    def state_dict(self) -> State:
        """Nothing runs ahead here."""
        return {}

    def load_state_dict(self, state: State) -> None:
        """Raises ValueError for what ran ahead of the learner, which only the engine that played it can go on with."""
        refuse_ahead(state)

    def close(self) -> None:
        """Nothing is held."""


class EmbeddedEngine(InProcess):
    """The default RolloutEngine: it plays in this process, with any sampler. `batch` says what is decoded together: all
    tasks of a step, or one task's group after the other, as a replica of another engine does."""

    def __init__(
        self,
        scene: Scene,
        sampler: Sampler,
        sampling: Sampling,
        group_size: int,
        prompts_per_step: int,
        extras: Extras | None = None,
        batch: Batching = "step",
    ) -> None:
        self.scene, self.sampler, self.sampling = scene, sampler, sampling
        self.group_size, self.quota, self.batch = group_size, Quota(prompts_per_step, extras or Extras()), batch

    def publish(self, policy: Policy) -> None:
        """Act with the newest weights: a sampler that shares them copies nothing."""
        self.sampler.publish(policy)

    def rollout(self, tasks: TaskSource, step: int) -> list[Episode]:
        """`prompts_per_step` tasks, `group_size` episodes of each, scored; and what `extras` asks for."""
        return self.quota.fill(tasks, step, self.play)

    def play(self, tasks: Sequence[Task], step: int, played: int) -> list[list[Episode]]:
        """Each task's group, in order of tasks."""
        if self.batch == "step":
            return self._together(tasks, step, played)
        return [self._together([task], step, place)[0] for place, task in enumerate(tasks, played)]

    def _together(self, tasks: Sequence[Task], step: int, played: int) -> list[list[Episode]]:
        size, sampling, most = self.group_size, self.sampling.at(step), self.quota.most
        episodes = play(self.scene, tasks, size, self.sampler, sampling, "train", step, played, most)
        groups = [episodes[i : i + size] for i in range(0, len(episodes), size)]
        return self._with_greedy(groups, tasks, step, played) if self.quota.extras.greedy else groups

    def _with_greedy(
        self, groups: list[list[Episode]], tasks: Sequence[Task], step: int, played: int
    ) -> list[list[Episode]]:
        """Each group with one greedily decoded episode of its task at its end."""
        greedy = replace(self.sampling.at(step), temperature=0.0, epsilon=0.0)
        alone = play(self.scene, tasks, 1, self.sampler, greedy, "greedy", step, played, self.quota.most)
        return [[*group, one] for group, one in zip(groups, alone, strict=True)]


class OfflineEngine(InProcess):
    """Plays nothing: for algorithms that learn from data."""

    def publish(self, policy: Policy) -> None:
        """Weights have no use here: nothing is sampled."""

    def rollout(self, tasks: TaskSource, step: int) -> list[Episode]:
        """An empty list: the episodes come from data."""
        return []


def refuse_ahead(state: State) -> None:
    """Raise ValueError for a checkpoint's engine whose tasks were drawn ahead: here they would be lost."""
    if state.get("ahead"):
        raise ValueError(
            f"the checkpoint holds {len(state['ahead'])} steps that an engine with staleness played ahead of the "
            "learner. Resume with that engine (engine=ray), also with engine.staleness=0."
        )
