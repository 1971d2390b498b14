"""Rewards that see all the episodes of a task at once: judges that compare, bonuses for being different, batches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from strop.types import Episode, PerToken, PerTurn, Task, Unscored


@dataclass(frozen=True, slots=True)
class GroupReward:
    """Marks `score(task, episodes) -> one result an episode, in order` as a reward of the whole group."""

    score: Callable[[Task, Sequence[Episode]], Sequence[float | Unscored | PerTurn | PerToken]]

    def __call__(self, task: Task, episodes: Sequence[Episode]) -> list[float | Unscored | PerTurn | PerToken]:
        results = list(self.score(task, episodes))
        if len(results) != len(episodes):
            raise ValueError(
                f"the group reward {self.score!r} returned {len(results)} results for {len(episodes)} episodes: "
                "return one for each, in the same order."
            )
        return results
