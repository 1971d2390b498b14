"""What an engine has drawn from the task source for steps to come, and what was played of it: its part of a checkpoint.

Episodes are kept as the rows of a run's database, which come back to the bit.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass

import torch

from strop.runs import rows, schema
from strop.scale.unit import Key, Played, Unit, units_of
from strop.types import Episode, State, Task


@dataclass(frozen=True, slots=True)
class Ahead:
    """The tasks of a step that is not learnt yet."""

    step: int
    tasks: tuple[Task, ...]

    def units(self, groups: int) -> list[Unit]:
        """Its units, of so many groups."""
        return units_of(self.step, 0, self.tasks, groups)


def to_state(ahead: Ahead, finished: Mapping[Key, Played]) -> State:
    """As a checkpoint holds it."""
    done = {place: played for (step, place), played in finished.items() if step == ahead.step}
    tasks = [
        {"id": task.id, "prompt": task.prompt, "answer": task.answer, "data": dict(task.data)} for task in ahead.tasks
    ]
    versions = {place: played.version for place, played in done.items()}
    with closing(_database()) as database:
        for place, played in done.items():
            rows.insert(database, place, "train", played.episodes)
        database.commit()
        written = torch.frombuffer(bytearray(database.serialize()), dtype=torch.uint8)
    return {"step": ahead.step, "tasks": tasks, "versions": versions, "episodes": written}


def from_state(state: State) -> tuple[Ahead, dict[Key, Played]]:
    """What `to_state` was given."""
    ahead = Ahead(int(state["step"]), tuple(Task(**task) for task in state["tasks"]))
    with closing(sqlite3.connect(":memory:")) as database:
        database.deserialize(state["episodes"].numpy().tobytes())
        database.row_factory = sqlite3.Row
        found = {
            (ahead.step, place): Played(_episodes(database, place), version)
            for place, version in state["versions"].items()
        }
    return ahead, found


def _episodes(database: sqlite3.Connection, place: int) -> tuple[Episode, ...]:
    found = database.execute("SELECT * FROM episodes WHERE step = ? ORDER BY number", (place,)).fetchall()
    return tuple(rows.read(database, row) for row in found)


def _database() -> sqlite3.Connection:
    """An empty one in memory, with a run's tables."""
    database = sqlite3.connect(":memory:", isolation_level=None)
    schema.migrate(database, "the checkpoint")
    return database
