"""The standing of a run, read from its files: status, steps done and held-out scores."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass

from strop.runs.budget import Budget
from strop.runs.directory import RunDirectory
from strop.runs.names import short
from strop.runs.records import EARLY_STOP, HELD_OUT
from strop.types.display import line, table

UNREADABLE = (ValueError, OSError, KeyError, TypeError, sqlite3.Error)
"""The errors of reading a run's files when they are missing, damaged or another program's."""
SCORES = ("reward", "gold", "accuracy", "loss", "perplexity", "filled")
"""The held-out means that show whether a run improved."""
STOPPED, INTERRUPTED = "stopped by an error", "interrupted"
EARLY = "ended early, since held-out scores got no better"
OUT_OF_TIME = "ended, since its minutes were used up"


@dataclass(frozen=True, slots=True)
class Standing:
    """`status` is running, finished, interrupted, "stopped by an error", `EARLY` or `OUT_OF_TIME`; `done` of `steps`
    steps are done, and `minutes` of training are allowed.

    `judged` are the steps with a held-out evaluation, `scores` the first and the last mean of each score, `seconds` the
    time of all steps, and `error` the last line of the error that stopped the run.
    """

    status: str
    algorithm: str
    done: int
    steps: int
    minutes: float | None
    judged: tuple[int, ...]
    scores: Mapping[str, tuple[float, float]]
    seconds: float
    error: str

    @property
    def is_complete(self) -> bool:
        """Whether nothing is left to do, the last evaluation included."""
        return self.status in ("finished", EARLY, OUT_OF_TIME) and (not self.judged or self.judged[-1] == self.done)

    def held_out(self) -> list[tuple[str, str]]:
        """`("held-out reward", "0.512 -> 0.734")` of each score; a single number after a single evaluation."""
        is_compared = len(self.judged) > 1
        return [
            (f"held-out {name}", f"{before:.4g} -> {after:.4g}" if is_compared else f"{after:.4g}")
            for name, (before, after) in self.scores.items()
        ]

    def __str__(self) -> str:
        scores = [f"{name} {value}" for name, value in self.held_out()]
        return ", ".join([self.algorithm, self.status, f"{self.done} of {self.steps} steps", *scores])


def standing(directory: RunDirectory) -> Standing:
    """The standing of a run. Raises ValueError if its folder is missing or damaged."""
    config = directory.config()
    with directory.reader() as store:
        latest, events = store.latest_step(), store.events()
        series = {name: store.series(f"{HELD_OUT}{name}") for name in SCORES}
        seconds = store.seconds()
    done, steps = 0 if latest is None else latest + 1, int(config["steps"])
    budget = Budget(config.get("minutes"), seconds)
    error = events[-1].text.strip() if events and events[-1].level == "error" else ""
    is_over = bool(events) and events[-1].text.startswith(EARLY_STOP)
    return Standing(
        status=_status(directory, done, steps, bool(error), is_over, budget.is_spent),
        algorithm=algorithm_name(config["algorithm"]),
        done=done,
        steps=steps,
        minutes=budget.minutes,
        judged=tuple(sorted({step for points in series.values() for step, _ in points})),
        scores={name: (points[0][1], points[-1][1]) for name, points in series.items() if points},
        seconds=seconds,
        error=error.splitlines()[-1] if error else "",
    )


def run_line(name: str, directory: RunDirectory) -> str:
    """A run in one line, for `repr`; works for a run whose folder is missing too."""
    try:
        return line(f"Run {name}: {standing(directory)}")
    except UNREADABLE:
        return line(f"Run {name}: its files cannot be read")


def run_table(name: str, directory: RunDirectory) -> str:
    """A run as an HTML table, for notebooks."""
    try:
        found = standing(directory)
    except UNREADABLE as error:
        return table([("run", name), ("files", f"cannot be read: {error}")])
    status = f"{found.status}, {found.done} of {found.steps} steps"
    return table([("run", name), ("algorithm", found.algorithm), ("status", status), *found.held_out()])


def _status(
    directory: RunDirectory, done: int, steps: int, is_stopped: bool, is_over: bool, is_out_of_time: bool
) -> str:
    if directory.is_being_written():
        return "running"
    if is_over:
        return EARLY
    saved = min(done, max(directory.checkpoints.steps(), default=done))
    if saved >= steps:
        return "finished"  # a last step at which a guard stopped the run is done, but not saved
    if is_out_of_time and saved == done:
        return OUT_OF_TIME
    return STOPPED if is_stopped else INTERRUPTED


def algorithm_name(spec: Mapping[str, str] | str) -> str:
    """The name of config.json's algorithm: the name itself for Stable-Baselines3, for ours the class of the Config."""
    return spec if isinstance(spec, str) else short(spec["class"])
