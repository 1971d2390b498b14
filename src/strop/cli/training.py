"""The work of `strop train`: parse the command line, train, and say how to continue."""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from strop.cli import engine_flags, recipes
from strop.cli.errors import Interrupted, Problem, Usage, signal_of
from strop.cli.output import say
from strop.runs.budget import Budget
from strop.runs.directory import RunDirectory, claim, find_run, find_staged, give_back, started
from strop.runs.staged import stage_name
from strop.types import NonFinite, Stopped

if TYPE_CHECKING:
    from strop.config import TrainConfig
    from strop.control import ControlConfig
    from strop.reports.fields import Field
    from strop.run import Run
    from strop.stages import Stage


@dataclass(frozen=True, slots=True)
class Job:
    """One call of `strop train`."""

    config: TrainConfig | ControlConfig | list[Stage]
    directory: Path
    resume: bool
    typed: str
    text: str
    command: str
    is_fresh: bool = False
    """Whether `directory` is a default name, which gets a number where it is in use."""
    parameters: tuple[Field, ...] = ()
    """Those of the recipe's function."""

    @property
    def resume_line(self) -> str:
        """The command that continues the run."""
        return self.resume_with()

    def resume_with(self, *changes: str) -> str:
        """That command with changed fields. It names a recipe file and its overrides again, so that a corrected file is
        used."""
        given = recipes.split(shlex.split(self.command)[2:])[1] if self.text else []
        changed = [change.partition("=")[0] for change in changes]
        given = [one for one in given if one.partition("=")[0] not in changed]
        recipe = [self.typed] if self.text else []
        return shlex.join(["strop", "train", *recipe, "--resume", "--run", str(self.directory), *given, *changes])


def job(words: Sequence[str], directory: str | None, resume: bool, engine: Sequence[str] = ()) -> Job:
    """The job of a command line; `engine` is set where the recipe plays. Raises Usage where that is unclear."""
    typed, overrides = recipes.split(words)
    if engine and not resume and len(typed) == 1:
        fields = [one for one in overrides if engine_flags.is_field(one)]
        others = [one for one in overrides if one not in fields]
        flags = engine_flags.of_recipe(recipes.find(typed[0], others).config, engine)
        overrides = [*others, *sorted([*fields, *flags], key=engine_flags.is_field)]  # which engine it is comes first
        words = [*typed, *overrides]
    elif engine:
        overrides = [*overrides, *engine]
    if len(typed) > 1:
        raise Usage(f"one recipe, not {len(typed)}: {', '.join(typed)}.", hint="fields are set as path.to.field=value")
    if resume:
        return _continued(typed, overrides, directory)
    if not typed:
        raise Usage("which recipe?", hint=f"strop train NAME, where NAME is {', '.join(recipes.names())} or a file.py")
    recipe = recipes.find(typed[0], overrides)
    folder = Path(directory) if directory else Path("runs") / f"{recipe.name}-{datetime.now():%Y%m%d-%H%M%S}"
    return Job(
        recipe.config, folder, False, recipe.typed, recipe.text, _command(words), not directory, recipe.parameters
    )


@contextmanager
def claimed(job: Job) -> Iterator[Job]:
    """The job with a new folder that no other process gets; it is removed if no run is made in it."""
    if not job.is_fresh:
        yield job
        return
    job = replace(job, directory=claim(job.directory))
    try:
        yield job
    finally:
        give_back(job.directory)


def train(job: Job, verbose: bool = False, keep_all: bool = False) -> tuple[Run, float]:
    """Train; returns the run and its seconds."""
    import strop
    from strop.cli.show_plan import plan
    from strop.config import TrainConfig

    assert isinstance(job.config, TrainConfig | list)
    started = time.monotonic()
    say(f"run: {job.directory}\n" + _nothing_left(job))
    run = strop.train(
        job.config,
        job.directory,
        resume=job.resume,
        recipe=job.text,
        command=job.command,
        keep_all=keep_all,
        announce=lambda made: plan(made, stderr=True, verbose=verbose),
    )
    return run, time.monotonic() - started


def _nothing_left(job: Job) -> str:
    """A message for a resumed run that has all its steps; empty for any other."""
    home, config, prefix = _last_begun(job)
    if not job.resume or home is None or (isinstance(job.config, list) and config is not job.config[-1].config):
        return ""
    from strop.config import TrainConfig

    assert isinstance(config, TrainConfig)
    with home.reader() as store:
        latest, budget = store.latest_step(), Budget(config.minutes, store.seconds())
    steps = config.steps
    if latest is None or latest + 1 != steps:
        if budget.minutes is None or not budget.is_spent:
            return ""
        more = job.resume_with(f"{prefix}minutes={2 * budget.minutes:g}")
        return f"its {budget.minutes:g} minutes are used up; to go on:\n  {more}\n"
    done = f"all {steps} steps are done" if steps > 1 else "its one step is done"
    return f"{done}; to go on:\n  {job.resume_with(f'{prefix}steps={2 * steps}')}\n"


def _last_begun(job: Job) -> tuple[RunDirectory | None, TrainConfig | ControlConfig, str]:
    """The run that a job trains, of several stages the last that has begun, with its config, and with what its fields
    begin with."""
    home = started(job.directory)
    if not isinstance(job.config, list):
        return home, job.config, ""
    name = stage_name(home.path) if home is not None else ""
    stage = next((one for one in job.config if one.name == name), job.config[0])
    return home, stage.config, f"{stage.name}."


def _continued(typed: Sequence[str], overrides: Sequence[str], directory: str | None) -> Job:
    from strop.runs import spec

    if not directory:
        raise Usage("which run is to be continued?", hint="strop train --resume --run DIR")
    if (staged := find_staged(directory)) is not None:
        from strop.cli import train_stages

        return train_stages.continued(staged, typed, overrides)
    home = find_run(directory)
    if typed:
        recipe = recipes.find(typed[0], overrides)
        return Job(recipe.config, home.path, True, recipe.typed, recipe.text, _command([*typed, *overrides]))
    config = recipes.override(spec.from_files(home.path), overrides)
    return Job(config, home.path, True, "", "", _command(overrides))


@contextmanager
def resumable(job: Job) -> Iterator[None]:
    """Whatever stops the training or the report on it: say whether something was saved and how to continue."""
    try:
        yield
    except KeyboardInterrupt as error:
        raise Interrupted(*_saved(job, "interrupted"), signal_of(error)) from None
    except (Stopped, NonFinite) as error:
        raise Problem(*_saved(job, str(error), _lower_rate(job, error))) from error


def _lower_rate(job: Job, error: Exception) -> list[str]:
    """For a training that diverged: half the learning rate, if it is a number."""
    from strop.optimizer import CALMER
    from strop.reports.settings import every_setting
    from strop.runs.spec import encode

    if not isinstance(error, NonFinite) or error.advice != CALMER:
        return []
    _, config, prefix = _last_begun(job)
    rates = [line for line in every_setting(encode(config)) if line.startswith("algorithm.optimizer.lr=")]
    return [f"{prefix}{path}={float(rate) / 2:g}" for path, _, rate in (line.partition("=") for line in rates)]


def _saved(job: Job, message: str, changes: Sequence[str] = ()) -> tuple[str, str]:
    home, _, prefix = _last_begun(job)
    steps = home.checkpoints.newest_first() if home is not None else []
    if not steps:
        return f"{message.rstrip('.')}; nothing was saved.", ""
    done = f"step {steps[0]}" if steps[0] else "the start"
    done += f" of stage {prefix.rstrip('.')}" if prefix else ""
    return message, f"{done} is saved; continue with:\n  {job.resume_with(*changes)}"


def _command(words: Sequence[str]) -> str:
    return shlex.join(["strop", "train", *words])
