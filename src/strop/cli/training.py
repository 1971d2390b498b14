"""What `strop train` is asked to do, and doing it."""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from strop.cli import recipes
from strop.cli.errors import Interrupted, Problem, Usage, signal_of
from strop.cli.output import say
from strop.runs.directory import RunDirectory, claim, find_run, give_back, is_run
from strop.types import NonFinite, Stopped

if TYPE_CHECKING:
    from strop.config import TrainConfig
    from strop.control import ControlConfig
    from strop.run import Run


@dataclass(frozen=True, slots=True)
class Job:
    """One call of `strop train`."""

    config: TrainConfig | ControlConfig
    directory: Path
    resume: bool
    typed: str
    text: str
    command: str
    is_fresh: bool = False
    """Whether `directory` is only what a new folder will be named after."""

    @property
    def resume_line(self) -> str:
        """What continues it. A recipe file is named again, so that what is corrected in it counts."""
        recipe = f"{shlex.quote(self.typed)} " if self.text else ""
        return f"strop train {recipe}--resume --run {shlex.quote(str(self.directory))}"


def job(words: Sequence[str], directory: str | None, resume: bool) -> Job:
    """What was asked for; a Usage error where that is unclear."""
    typed, overrides = recipes.split(words)
    if len(typed) > 1:
        raise Usage(f"one recipe, not {len(typed)}: {', '.join(typed)}.", hint="fields are set as path.to.field=value")
    if resume:
        return _continued(typed, overrides, directory)
    if not typed:
        raise Usage("which recipe?", hint=f"strop train NAME, where NAME is {', '.join(recipes.names())} or a file.py")
    recipe = recipes.find(typed[0], overrides)
    place = Path(directory) if directory else Path("runs") / f"{recipe.name}-{datetime.now():%Y%m%d-%H%M%S}"
    return Job(recipe.config, place, False, recipe.typed, recipe.text, _command(words), is_fresh=not directory)


@contextmanager
def claimed(job: Job) -> Iterator[Job]:
    """The job with a folder that no other process is given; it goes again where no run was made in it."""
    if not job.is_fresh:
        yield job
        return
    job = replace(job, directory=claim(job.directory))
    try:
        yield job
    finally:
        give_back(job.directory)


def train(job: Job, keep_all: bool = False) -> tuple[Run, float]:
    """Train; the run and how many seconds it took."""
    import strop
    from strop.cli.show_plan import plan
    from strop.config import TrainConfig

    assert isinstance(job.config, TrainConfig)
    started = time.monotonic()
    say(f"run: {job.directory}\n" + _nothing_left(job))
    with _resumable(job):
        run = strop.train(
            job.config,
            job.directory,
            resume=job.resume,
            recipe=job.text,
            command=job.command,
            keep_all=keep_all,
            announce=lambda made: plan(made, stderr=True),
        )
    return run, time.monotonic() - started


def _nothing_left(job: Job) -> str:
    """Said when a resumed run is already where it should end."""
    if not job.resume:
        return ""
    with RunDirectory(job.directory).reader() as store:
        latest = store.latest_step()
    if latest is None or latest + 1 < job.config.steps:
        return ""
    return f"all {job.config.steps} steps are done; to go on: {job.resume_line} steps={2 * job.config.steps}\n"


def _continued(typed: Sequence[str], overrides: Sequence[str], directory: str | None) -> Job:
    from strop import spec

    if not directory:
        raise Usage("which run is to be continued?", hint="strop train --resume --run DIR")
    home = find_run(directory)
    if typed:
        recipe = recipes.find(typed[0], overrides)
        return Job(recipe.config, home.path, True, recipe.typed, recipe.text, _command([*typed, *overrides]))
    config = recipes.override(spec.from_files(home.path), overrides)
    return Job(config, home.path, True, "", "", _command(overrides))


@contextmanager
def _resumable(job: Job) -> Iterator[None]:
    """Whoever stops the training: say whether something was saved and how to go on."""
    try:
        yield
    except KeyboardInterrupt as error:
        raise Interrupted(*_saved(job, "interrupted"), signal_of(error)) from None
    except (Stopped, NonFinite) as error:
        raise Problem(*_saved(job, str(error))) from error


def _saved(job: Job, message: str) -> tuple[str, str]:
    steps = RunDirectory(job.directory).checkpoints.newest_first() if is_run(job.directory) else []
    if not steps:
        return f"{message.rstrip('.')}; nothing was saved.", ""
    return message, f"step {steps[0]} is saved; continue with: {job.resume_line}"


def _command(words: Sequence[str]) -> str:
    return shlex.join(["strop", "train", *words])
