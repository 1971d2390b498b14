"""A unit of work: one task's group in one step. Whoever plays it, and however often, it is played the same."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeAlias

from strop.types import End, Episode, Source, Task

Key: TypeAlias = "tuple[int, int]"
"""(step, place): what tells the units of a run apart."""


class Unfit(Exception):
    """A replica that cannot play any more, as its text says: another one takes its place, and plays the unit again."""


@dataclass(frozen=True, slots=True)
class Unit:
    """The group of `task` in `step`; `place` tasks of that step come before it."""

    step: int
    place: int
    task: Task

    @property
    def key(self) -> Key:
        """What tells it apart."""
        return self.step, self.place


@dataclass(frozen=True, slots=True)
class Played:
    """A unit's episodes, scored, by the policy of `version`. `seconds` is what playing took, without the weights."""

    episodes: tuple[Episode, ...]
    version: int
    seconds: float = 0.0
    load_seconds: float = 0.0


def given_up(unit: Unit, group_size: int, most: int, seed: int, version: int, reason: str) -> Played:
    """The FAILED episodes of a unit that nobody could play to its end. A step plays at most `most` tasks."""
    first = unit.place * group_size
    return Played(
        tuple(
            Episode(
                id=f"train-{unit.step:06d}-{first + member:04d}",
                task=unit.task,
                group=unit.step * most + unit.place,
                turns=(),
                final=(),
                end=End.FAILED,
                error=reason,
                version=version,
                seed=(seed, unit.step, first + member),
            )
            for member in range(group_size)
        ),
        version,
    )


def with_greedy(found: Played, unit: Unit) -> Played:
    """The same with the greedy episode that stands at the end of a group where an algorithm asks for it: FAILED too."""
    first, *_ = found.episodes
    seed, step, _ = first.seed
    greedy = replace(
        first,
        id=f"greedy-{unit.step:06d}-{unit.place:04d}",
        seed=(seed, step, unit.place),
        source=Source.GREEDY,
    )
    return replace(found, episodes=(*found.episodes, greedy))
