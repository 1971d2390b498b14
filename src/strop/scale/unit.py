"""A unit of work: the groups of some tasks in one step. Whoever plays it, and however often, it is played the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import TypeAlias

from strop.types import End, Episode, Source, Task

Key: TypeAlias = "tuple[int, int]"
"""(step, place): what tells the units of a run apart."""


class Unfit(Exception):
    """A replica that cannot play any more, as its text says: another one takes its place, and plays the unit again."""


@dataclass(frozen=True, slots=True)
class Unit:
    """The groups of `tasks` in `step`; `place` tasks of that step come before them."""

    step: int
    place: int
    tasks: tuple[Task, ...]

    @property
    def key(self) -> Key:
        """What tells it apart."""
        return self.step, self.place

    def __str__(self) -> str:
        """The names of its tasks, of many the first."""
        first, *others = (task.id for task in self.tasks)
        return f"task {first}{f' and {len(others)} beside it' if others else ''}"


def units_of(step: int, place: int, tasks: Sequence[Task], groups: int) -> list[Unit]:
    """Units of so many groups for these tasks; `place` tasks of that step come before them."""
    return [Unit(step, place + i, tuple(tasks[i : i + groups])) for i in range(0, len(tasks), groups)]


@dataclass(frozen=True, slots=True)
class Played:
    """A unit's episodes, group by group, scored, by the policy of `version`.

    failed_attempts  requests to the replica's own server that came to nothing
    seconds          what playing took, without the weights; `load_seconds` is what those took
    """

    episodes: tuple[Episode, ...]
    version: int
    failed_attempts: int = 0
    seconds: float = 0.0
    load_seconds: float = 0.0


def given_up(unit: Unit, group_size: int, most: int, seed: int, version: int, reason: str) -> Played:
    """The FAILED episodes of a unit that nobody could play to its end. A step plays at most `most` tasks."""
    return Played(
        tuple(
            Episode(
                id=f"train-{unit.step:06d}-{number:04d}",
                task=task,
                group=unit.step * most + place,
                turns=(),
                final=(),
                end=End.FAILED,
                error=reason,
                version=version,
                seed=(seed, unit.step, number),
            )
            for place, task in enumerate(unit.tasks, unit.place)
            for number in range(place * group_size, (place + 1) * group_size)
        ),
        version,
    )


def with_greedy(found: Played, unit: Unit) -> Played:
    """The same with the greedy episode that stands at the end of each group where an algorithm asks for it: FAILED
    too."""
    size = len(found.episodes) // len(unit.tasks)
    groups = [found.episodes[i : i + size] for i in range(0, len(found.episodes), size)]
    ended = [(*group, _greedy(group[0], place)) for place, group in enumerate(groups, unit.place)]
    return replace(found, episodes=tuple(chain.from_iterable(ended)))


def _greedy(first: Episode, place: int) -> Episode:
    seed, step, _ = first.seed
    return replace(first, id=f"greedy-{step:06d}-{place:04d}", seed=(seed, step, place), source=Source.GREEDY)
