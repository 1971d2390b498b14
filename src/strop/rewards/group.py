"""Rewards that see all episodes of a task at once: judges that compare, diversity bonuses, batched models."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from strop.types import Episode, PerToken, PerTurn, Task, Unscored, check_fields, returned


@dataclass(frozen=True, slots=True)
class GroupReward:
    """Marks `score(task, episodes)`, which returns one result per episode in order, as a reward of the whole group."""

    score: Callable[[Task, Sequence[Episode]], Sequence[float | Unscored | PerTurn | PerToken]]

    def __post_init__(self) -> None:
        check_fields(self)

    def __call__(self, task: Task, episodes: Sequence[Episode]) -> list[float | Unscored | PerTurn | PerToken]:
        answer: object = self.score(task, episodes)
        if not isinstance(answer, Iterable) or isinstance(answer, str | Mapping):
            raise ValueError(
                f"the group reward {self.score!r} returned {returned(answer)}: it returns a list, one result for each "
                "of the episodes."
            )
        results = list(answer)
        if len(results) != len(episodes):
            raise ValueError(
                f"the group reward {self.score!r} returned {len(results)} results for {len(episodes)} episodes: "
                "return one for each, in the same order."
            )
        return results
