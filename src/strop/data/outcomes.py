"""What became of the tasks that a source gave: the successes of each group, and of the last groups together."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from strop.types import Episode, Source, Unscored


@dataclass(frozen=True, slots=True)
class Outcome:
    """How many of a group's scored episodes succeeded; `task` is the id of its task."""

    task: str
    num_successes: int
    num_scored: int


def outcomes(episodes: Sequence[Episode], success: float) -> list[Outcome]:
    """One for each group, in the order in which they were played. An episode succeeds if its reward is `success` or
    more.

    Unscored episodes are left out, and so are greedy ones, which do not show how the policy acts; a group of which
    nothing is left has no outcome.
    """
    played: dict[int, tuple[str, list[bool]]] = {}
    for episode in episodes:
        reward = episode.reward
        if episode.source is not Source.GREEDY and not isinstance(reward, Unscored):
            played.setdefault(episode.group, (episode.task.id, []))[1].append(reward >= success)
    return [Outcome(task, sum(successes), len(successes)) for task, successes in played.values()]


class Recent:
    """The last `window` groups of a task or a level."""

    def __init__(self, window: int) -> None:
        self._groups: deque[tuple[int, int]] = deque(maxlen=window)

    def add(self, outcome: Outcome) -> None:
        """Append a group; the oldest leaves if there are more than `window`."""
        self._groups.append((outcome.num_successes, outcome.num_scored))

    @property
    def is_full(self) -> bool:
        """Whether it holds `window` groups."""
        return len(self._groups) == self._groups.maxlen

    @property
    def num_successes(self) -> int:
        """Of all its groups."""
        return sum(successes for successes, _ in self._groups)

    @property
    def num_scored(self) -> int:
        """The episodes of all its groups."""
        return sum(scored for _, scored in self._groups)

    @property
    def rate(self) -> float:
        """The share of successes; NaN before the first group."""
        return self.num_successes / self.num_scored if self._groups else math.nan

    def state(self) -> list[list[int]]:
        """Successes and scored episodes of each group, the oldest first."""
        return [list(group) for group in self._groups]

    def load(self, state: Sequence[Sequence[int]]) -> None:
        """Go on from such a state."""
        self._groups.clear()
        self._groups.extend((successes, scored) for successes, scored in state)
