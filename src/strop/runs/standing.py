"""Where a run stands: how far it is and what was judged, read from its files."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass

from strop.runs.directory import RunDirectory
from strop.runs.names import short
from strop.runs.records import HELD_OUT
from strop.types.display import line, table

UNREADABLE = (ValueError, OSError, KeyError, TypeError, sqlite3.Error)
"""What reading a run's files raises where they are gone, damaged or another program's."""
SCORES = ("reward", "gold", "accuracy")
"""The held-out means that say whether a run got better."""
STOPPED, INTERRUPTED = "stopped by an error", "interrupted"


@dataclass(frozen=True, slots=True)
class Standing:
    """`status` is running, finished, interrupted or "stopped by an error"; `done` of `steps` steps lie behind the run.

    `judged` holds the steps after which held-out tasks were judged, `scores` the first and the last mean of each
    score, `seconds` what the steps took, and `error` the last line of what stopped the run.
    """

    status: str
    algorithm: str
    done: int
    steps: int
    judged: tuple[int, ...]
    scores: Mapping[str, tuple[float, float]]
    seconds: float
    error: str

    @property
    def is_complete(self) -> bool:
        """Whether nothing is left to do, the last judgement included."""
        return self.status == "finished" and (not self.judged or self.judged[-1] == self.done)

    def held_out(self) -> list[tuple[str, str]]:
        """`("held-out reward", "0.512 -> 0.734")` of each score; one number where it was judged once."""
        is_compared = len(self.judged) > 1
        return [
            (f"held-out {name}", f"{before:.4g} -> {after:.4g}" if is_compared else f"{after:.4g}")
            for name, (before, after) in self.scores.items()
        ]

    def __str__(self) -> str:
        scores = [f"{name} {value}" for name, value in self.held_out()]
        return ", ".join([self.algorithm, self.status, f"{self.done} of {self.steps} steps", *scores])


def standing(directory: RunDirectory) -> Standing:
    """Raises ValueError where the folder is gone or damaged."""
    config = directory.config()
    with directory.reader() as store:
        latest, events = store.latest_step(), store.events()
        series = {name: store.series(f"{HELD_OUT}{name}") for name in SCORES}
        seconds = math.fsum(value for _, value in store.series("time/step_seconds"))
    done, steps = 0 if latest is None else latest + 1, int(config["steps"])
    error = events[-1].text.strip() if events and events[-1].level == "error" else ""
    return Standing(
        status=_status(directory, done, steps, bool(error)),
        algorithm=algorithm_name(config["algorithm"]),
        done=done,
        steps=steps,
        judged=tuple(sorted({step for points in series.values() for step, _ in points})),
        scores={name: (points[0][1], points[-1][1]) for name, points in series.items() if points},
        seconds=seconds,
        error=error.splitlines()[-1] if error else "",
    )


def run_line(name: str, directory: RunDirectory) -> str:
    """A run in one line, as Python prints it; one whose folder is gone can be printed too."""
    try:
        return line(f"Run {name}: {standing(directory)}")
    except UNREADABLE:
        return line(f"Run {name}: its files cannot be read")


def run_table(name: str, directory: RunDirectory) -> str:
    """The same in a notebook."""
    try:
        found = standing(directory)
    except UNREADABLE as error:
        return table([("run", name), ("files", f"cannot be read: {error}")])
    status = f"{found.status}, {found.done} of {found.steps} steps"
    return table([("run", name), ("algorithm", found.algorithm), ("status", status), *found.held_out()])


def _status(directory: RunDirectory, done: int, steps: int, is_stopped: bool) -> str:
    if directory.is_being_written():
        return "running"
    if min(done, max(directory.checkpoints.steps(), default=done)) >= steps:
        return "finished"  # a last step that a guard stopped is done, and not saved
    return STOPPED if is_stopped else INTERRUPTED


def algorithm_name(spec: Mapping[str, str] | str) -> str:
    """What config.json's algorithm is called: Stable-Baselines3's by itself, ours by the class that holds a Config."""
    return spec if isinstance(spec, str) else short(spec["class"])
