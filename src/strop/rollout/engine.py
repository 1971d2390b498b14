"""Rollout engines: the embedded one samples in this process, the offline one is for algorithms that learn from data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from strop.rollout.play import Scene, play
from strop.types import (
    Episode,
    Extras,
    Policy,
    Sampler,
    Sampling,
    Source,
    Stopped,
    Task,
    TaskSource,
    Unscored,
)


class EmbeddedEngine:
    """The default RolloutEngine: it plays in this process, with any sampler."""

    def __init__(
        self,
        scene: Scene,
        sampler: Sampler,
        sampling: Sampling,
        group_size: int,
        prompts_per_step: int,
        extras: Extras | None = None,
    ) -> None:
        self.scene, self.sampler, self.sampling = scene, sampler, sampling
        self.group_size, self.prompts_per_step, self.extras = group_size, prompts_per_step, extras or Extras()

    def publish(self, policy: Policy) -> None:
        """Act with the newest weights: a sampler that shares them copies nothing."""
        self.sampler.publish(policy)

    def rollout(self, tasks: TaskSource, step: int) -> list[Episode]:
        """`prompts_per_step` tasks, `group_size` episodes of each, scored; and what `extras` asks for.

        The source is told the outcomes of the tasks that it gave before it is asked for more.
        Raises Stopped if too few groups are accepted.
        """
        episodes, played, accepted = list[Episode](), 0, 0
        while played < self._most_tasks:
            chosen = tasks.next(min(self.prompts_per_step - accepted, self._most_tasks - played))
            groups = self._play(chosen, step, played)
            tasks.observe(new := [episode for group in groups for episode in group])
            episodes += new
            played, accepted = played + len(chosen), accepted + sum(map(self._accepts, groups))
            if self.extras.accepts is None or accepted == self.prompts_per_step:
                return episodes
        raise self._too_few(step, played, accepted)

    @property
    def _most_tasks(self) -> int:
        return self.prompts_per_step * self.extras.oversampling

    def _play(self, tasks: Sequence[Task], step: int, played: int) -> list[list[Episode]]:
        """Each task's group. `played` tasks of this step came before: ids and random streams continue after theirs."""
        size, sampling = self.group_size, self.sampling.at(step)
        episodes = play(self.scene, tasks, size, self.sampler, sampling, "train", step, played, self._most_tasks)
        groups = [episodes[i : i + size] for i in range(0, len(episodes), size)]
        if self.extras.greedy:
            greedy = replace(sampling, temperature=0.0, epsilon=0.0)
            alone = play(self.scene, tasks, 1, self.sampler, greedy, "greedy", step, played, self._most_tasks)
            groups = [[*group, one] for group, one in zip(groups, alone, strict=True)]
        return groups

    def _too_few(self, step: int, played: int, accepted: int) -> Stopped:
        return Stopped(
            f"step {step} played {played} tasks and found {accepted} of {self.prompts_per_step} groups that can teach: "
            "in the others every answer has the same reward, because the task is solved or out of reach. If the tasks "
            "are solved, training is done; else take other tasks, raise group_size or algorithm.oversampling, or use "
            "GRPO, which learns from what there is."
        )

    def _accepts(self, group: Sequence[Episode]) -> bool:
        returns = [episode.reward for episode in group if episode.source is not Source.GREEDY]
        scored = [reward for reward in returns if not isinstance(reward, Unscored)]
        return self.extras.accepts is None or self.extras.accepts(scored)


class OfflineEngine:
    """Plays nothing: for algorithms that learn from data."""

    def publish(self, policy: Policy) -> None:
        """Weights have no use here: nothing is sampled."""

    def rollout(self, tasks: TaskSource, step: int) -> list[Episode]:
        """An empty list: the episodes come from data."""
        return []
