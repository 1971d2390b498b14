"""The episodes of a run as training data for another run."""

from __future__ import annotations

from pathlib import Path

from strop.data.played import as_task
from strop.runs.directory import RunDirectory, started
from strop.types import Task, Unscored


def tasks_from_run(path: Path) -> list[Task]:
    """One task for every scored training episode of the run, in the order in which they were played. Of several stages
    it is the last that has begun.

    A run keeps the token ids of its last 200 steps; older episodes cannot be used. Unscored episodes are left out, as
    in every update.
    """
    with (started(path) or RunDirectory.open(path)).reader() as store:
        episodes = [one for one in store.episodes("train") if one.turns and not isinstance(one.reward, Unscored)]
    if not episodes:
        raise ValueError(f"data={str(path)!r}: this run holds no scored training episode.")
    return [as_task(episode) for episode in episodes]
