"""How many groups a step wants, and the loop that plays tasks until it has them: the same for every engine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from strop.types import Episode, Extras, Source, Stopped, Task, TaskSource, Unscored

Play: TypeAlias = "Callable[[Sequence[Task], int, int], list[list[Episode]]]"
"""(tasks, step, played) -> the group of each task. `played` tasks of this step came before: ids and random streams
continue after theirs."""


@dataclass(frozen=True, slots=True)
class Quota:
    """`prompts_per_step` groups that the algorithm accepts."""

    prompts_per_step: int
    extras: Extras = field(default_factory=Extras)

    @property
    def most(self) -> int:
        """The most tasks that are played in a step."""
        return self.prompts_per_step * self.extras.oversampling

    def fill(self, tasks: TaskSource, step: int, play: Play, drawn: Sequence[Task] = ()) -> list[Episode]:
        """The episodes of a step, those of rejected groups too. Tasks that were `drawn` for it before come first.

        The source is told the outcomes of the tasks that it gave before it is asked for more.
        Raises Stopped if too few groups are accepted.
        """
        episodes, played, accepted = list[Episode](), 0, 0
        while played < self.most:
            chosen, drawn = drawn or tasks.next(min(self.prompts_per_step - accepted, self.most - played)), ()
            groups = play(chosen, step, played)
            tasks.observe(new := [episode for group in groups for episode in group])
            episodes += new
            played, accepted = played + len(chosen), accepted + sum(map(self._accepts, groups))
            if self.extras.accepts is None or accepted >= self.prompts_per_step:
                return episodes
        raise self._too_few(step, played, accepted)

    def _accepts(self, group: Sequence[Episode]) -> bool:
        returns = [episode.reward for episode in group if episode.source is not Source.GREEDY]
        scored = [reward for reward in returns if not isinstance(reward, Unscored)]
        return self.extras.accepts is None or self.extras.accepts(scored)

    def _too_few(self, step: int, played: int, accepted: int) -> Stopped:
        return Stopped(
            f"step {step} played {played} tasks and found {accepted} of {self.prompts_per_step} groups that can teach: "
            "in the others every answer has the same reward, because the task is solved or out of reach. If the tasks "
            "are solved, training is done; else take other tasks, raise group_size or algorithm.oversampling, or use "
            "GRPO, which learns from what there is."
        )
