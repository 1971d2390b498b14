"""The folder of a run: created for a new run, opened for a resumed one."""

from __future__ import annotations

import json
import math
import shlex
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from strop.devices import hardware_of
from strop.runs import provenance, spec
from strop.runs.budget import Budget
from strop.runs.directory import PROVENANCE, RunDirectory
from strop.runs.files import Gone
from strop.scale import Ray
from strop.words import plural

if TYPE_CHECKING:
    from strop.config import TrainConfig


def opened_home(
    config: TrainConfig,
    directory: Path | str | None,
    spec_of_run: Mapping[str, Any],
    files: Mapping[str, str],
    command: str,
    resume: bool,
) -> tuple[RunDirectory, list[str]]:
    """The run's folder, and what has changed since the run was last started, in words."""
    assert config.dtype is not None
    tasks = {name: text for name, text in files.items() if name.endswith(".jsonl")}
    origin = provenance.collect(
        seed=config.seed,
        dtype=config.dtype,
        threads=config.threads or 1,
        data=tasks,
        accelerator=hardware_of(config.device),
        packages=("ray",) if isinstance(config.engine, Ray) else (),
    )
    if resume:
        assert directory is not None, "strop.train refuses a resume without a directory"
        home = RunDirectory.open(directory)
        _refuse_fewer_steps(home, config.steps)
        _refuse_fewer_minutes(home, config.minutes)
        return home, _forks(home, spec_of_run, origin)
    cache = Path(config.corpus.folder) if config.corpus is not None else None
    return new_home(directory, spec_of_run, files, origin, command, cache), []


def new_home(
    directory: Path | str | None,
    spec_of_run: Mapping[str, Any],
    files: Mapping[str, str],
    origin: Mapping[str, Any],
    command: str,
    cache: Path | None = None,
) -> RunDirectory:
    """The folder of a new run (default: runs/<date-time>), with its config, its provenance and what it caches."""
    facts = json.dumps({"command": command, **origin}, indent=2, ensure_ascii=False)
    make = RunDirectory.create if directory else RunDirectory.create_new
    return make(Path(directory or default_directory()), spec_of_run, {**files, PROVENANCE: facts}, cache)


@contextmanager
def removed_if_never_saved(home: RunDirectory, resume: bool = False) -> Iterator[None]:
    """Delete a new run that ends before its first checkpoint, unless its folder was replaced by another."""
    try:
        yield
    except Gone:
        raise
    except BaseException:
        if not (resume or home.checkpoints.steps() or home.checkpoints.files()):
            shutil.rmtree(home.path, ignore_errors=True)
        raise


def _refuse_fewer_steps(home: RunDirectory, steps: int) -> None:
    """Raise ValueError for `steps` below what is done: probably meant as additional steps."""
    done = max(home.checkpoints.steps(), default=0)
    if steps < done:
        raise ValueError(
            f"{home.path} has {plural(done, 'step')} behind it, and steps={steps} is fewer: steps counts from the "
            f"start of the run, so nothing is trained. For {steps} more: "
            f"strop train --resume --run {shlex.quote(str(home.path))} steps={done + steps}"
        )


def _refuse_fewer_minutes(home: RunDirectory, minutes: float | None) -> None:
    """Raise ValueError for other `minutes` than before that are used up already: probably meant as additional ones."""
    before = home.config().get("minutes")
    with home.reader() as store:
        budget = Budget(minutes, store.seconds())
    if minutes is not None and minutes != before and budget.is_spent:
        trained = budget.seconds / 60
        raise ValueError(
            f"{home.path} has trained for {trained:.1f} minutes, and minutes={minutes:g} is less: minutes counts from "
            f"the start of the run, so nothing is trained. For {minutes:g} more: "
            f"strop train --resume --run {shlex.quote(str(home.path))} minutes={math.ceil(trained + minutes)}"
        )


def _forks(home: RunDirectory, written: Mapping[str, Any], origin: Mapping[str, Any]) -> list[str]:
    """What has changed since the run was last started: fields of the config, then versions and machine."""
    surroundings = {key: value for key, value in origin.items() if key not in ("seed", "dtype", "threads", "data")}
    before = {key: home.provenance().get(key) for key in surroundings}
    return spec.changes(home.config(), written) + provenance.differences(before, surroundings)


def default_directory() -> Path:
    """The folder of a run that names none."""
    return Path("runs") / datetime.now().strftime("%Y%m%d-%H%M%S")
