"""The source of each step's tasks."""

from __future__ import annotations

from collections.abc import Sequence

from strop.streams import stream
from strop.types import Episode, State, Task, TaskSource, TaskSourceConfig


def source_of(tasks: Sequence[Task] | TaskSourceConfig, seed: int) -> TaskSource:
    """The source of each step's tasks: epochs over a list, or what the Config builds."""
    if not isinstance(tasks, Sequence):
        return tasks.build(seed)
    return Shuffled(tasks, seed) if tasks else NoTasks()


class Shuffled:
    """Endless epochs over the tasks. The order of an epoch depends on (seed, epoch) alone; the state is one number."""

    def __init__(self, tasks: Sequence[Task], seed: int = 0) -> None:
        if not tasks:
            raise ValueError("there is no task to draw from: give at least one.")
        self._tasks = tuple(tasks)
        self._seed = seed
        self._num_drawn = 0
        self._epoch = -1
        self._order: list[int] = []

    @property
    def num_drawn(self) -> int:
        """How many tasks were drawn so far."""
        return self._num_drawn

    def next(self, n: int) -> list[Task]:
        """The next n tasks."""
        return [self._draw() for _ in range(n)]

    def observe(self, episodes: Sequence[Episode]) -> None:
        """Outcomes do not change the order."""

    def measures(self) -> dict[str, float]:
        """None: an epoch has nothing to tell."""
        return {}

    def state_dict(self) -> State:
        return {"num_drawn": self._num_drawn}

    def load_state_dict(self, state: State) -> None:
        self._num_drawn = int(state["num_drawn"])

    def _draw(self) -> Task:
        epoch, position = divmod(self._num_drawn, len(self._tasks))
        if epoch != self._epoch:
            self._epoch = epoch
            self._order = stream(self._seed, "tasks", epoch).permutation(len(self._tasks)).tolist()
        self._num_drawn += 1
        return self._tasks[self._order[position]]


class NoTasks:
    """The source of a run that plays no task: it learns from a corpus."""

    def next(self, n: int) -> list[Task]:
        """Refused: such a run never asks."""
        raise ValueError("a run on a corpus has no tasks to play.")

    def observe(self, episodes: Sequence[Episode]) -> None:
        """Nothing is played."""

    def measures(self) -> dict[str, float]:
        """None."""
        return {}

    def state_dict(self) -> State:
        return {}

    def load_state_dict(self, state: State) -> None:
        """There is no position."""
