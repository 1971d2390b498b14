"""Groups of episodes with given rewards: what a task source is told."""

from collections.abc import Sequence
from itertools import count

from strop.types import End, Episode, Part, Source, Task, Unscored

NUMBERS = count()


def group(task: str | Task, *rewards: float | Unscored, source: Source = Source.POLICY) -> list[Episode]:
    """A new group of this task, with an episode for each reward."""
    task, number = (task if isinstance(task, Task) else Task(task, "")), next(NUMBERS)
    return [
        Episode(f"{number}-{i}", task, number, (), (), End.TERMINATED, source=source, parts={"r": Part(1.0, reward)})
        for i, reward in enumerate(rewards)
    ]


def of(task: str | Task, won: int, played: int = 4) -> list[Episode]:
    """A group of which so many succeeded."""
    return group(task, *[1.0] * won, *[0.0] * (played - won))


def names(tasks: Sequence[Task]) -> list[str]:
    """The ids of the tasks."""
    return [task.id for task in tasks]


def tasks(*ids: str) -> list[Task]:
    """Tasks of these ids."""
    return [Task(id, f"prompt {id}") for id in ids]
