"""Training with Stable-Baselines3, and the resulting run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from signal import Signals

import torch

from strop.control.config import ControlConfig
from strop.control.plan import plan_of
from strop.control.watcher import Watcher
from strop.home import new_home, removed_if_never_saved
from strop.process import RECIPE
from strop.reports.verdicts import Verdict, verdict
from strop.runs import provenance
from strop.runs.directory import PLAN, RunDirectory
from strop.runs.global_state import global_state_kept
from strop.runs.progress import Progress
from strop.runs.spec import TRAINED_BY, encode
from strop.threads import threads_of


@dataclass(frozen=True, slots=True)
class ControlRun:
    """A finished run: where it is, and the returns of its judgements by step."""

    directory: RunDirectory
    config: ControlConfig
    judged: Mapping[int, list[float]]
    stopped_by: Signals | None

    @property
    def interrupted(self) -> bool:
        """Whether a signal stopped it."""
        return self.stopped_by is not None

    @property
    def path(self) -> Path:
        """The folder."""
        return self.directory.path

    def metrics(self) -> list[dict[str, float]]:
        """One dict a step, in order."""
        with self.directory.reader() as store:
            return store.metrics()

    def verdicts(self) -> list[Verdict]:
        """The first judgement against the last; nothing where there is only one."""
        if len(self.judged) < 2:
            return []
        return [verdict("reward", self.judged[min(self.judged)], self.judged[max(self.judged)])]


@global_state_kept()
def train(
    config: ControlConfig,
    directory: Path | str | None = None,
    *,
    recipe: str = "",
    command: str = "",
    keep_all: bool = False,
    progress: Progress | bool = True,
) -> ControlRun:
    """Train with Stable-Baselines3, and record the run in `directory` (default: runs/<date-time>).

    Other arguments are as in `strop.train`. Raises ImportError if Stable-Baselines3 is not installed.
    """
    threads = threads_of(config.threads).number
    torch.set_num_threads(threads)
    model = config.build()
    origin = provenance.collect(seed=config.seed, dtype="float32", threads=threads, data={})
    files = {PLAN: json.dumps(plan_of(config), indent=2, ensure_ascii=False)}
    files |= {f"{RECIPE}.py": recipe} if recipe else {}
    home = new_home(directory, encode(config) | {TRAINED_BY: "Stable-Baselines3"}, files, origin, command)
    if keep_all:
        home.checkpoints.keep_all()
    with removed_if_never_saved(home), Watcher(config, home, model, Progress.of(progress)) as watcher:
        watcher.learn()
        return ControlRun(home, config, watcher.judged, watcher.interrupt.requested)


def checkpoints(home: RunDirectory) -> list[Path]:
    """The zip files of a run, oldest first."""
    return home.checkpoints.files()
