"""The work of `strop sweep`: parse the command line, and train one run after another."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from signal import Signals
from typing import TYPE_CHECKING, TypeVar

from strop.cli import recipes, training
from strop.cli.errors import Interrupted, Problem, Usage, explain, signal_of
from strop.cli.output import say
from strop.runs import sweep as sweeps
from strop.runs.directory import RunDirectory, is_run, is_sweep
from strop.runs.standing import standing
from strop.runs.sweep import Member, Sweep

if TYPE_CHECKING:
    from strop.cli.recipes import Recipe
    from strop.cli.training import Job

T = TypeVar("T")


def requested(words: Sequence[str], directory: str | None) -> tuple[Sweep, Path]:
    """The sweep and its folder. Raises Usage for a wrong command line, before anything is trained."""
    typed, overrides = recipes.split(words)
    if len(typed) > 1:
        raise Usage(f"one recipe, not {len(typed)}: {', '.join(typed)}.", hint="fields are set as path.to.field=a,b")
    if directory and is_sweep(directory):
        return _continued(typed, overrides, Path(directory)), Path(directory)
    if not typed:
        raise Usage("which recipe?", hint=f"strop sweep NAME seed=0..4, where NAME is {', '.join(recipes.names())}")
    recipe = recipes.find(typed[0])
    if isinstance(recipe.config, list):
        raise Usage(
            f"{recipe.typed} has {len(recipe.config)} stages, and a sweep trains recipes of one.",
            hint="sweep a stage alone, in a recipe with policy='runs/mine/1-NAME' for what it starts from",
        )
    sweep = _or_usage(lambda: sweeps.new(recipe.typed, _hash(recipe.text), sweeps.given(overrides)))
    _check(sweep, recipe)
    return sweep, Path(directory) if directory else Path("runs") / f"{recipe.name}-sweep-{datetime.now():%Y%m%d-%H%M%S}"


def train(sweep: Sweep, directory: Path) -> dict[str, str]:
    """Train every run that is not complete; returns the errors of failed runs by name.

    Each run is a boundary: its failure becomes a line of the table, and the others go on. Ctrl-C raises Interrupted.
    """
    sweeps.write(sweep, directory)
    members, errors = sweep.members(), dict[str, str]()
    for number, member in enumerate(members, 1):
        path = directory / member.name
        say(f"\n[{number}/{len(members)}] {path}")
        try:
            stopped_by = _train_one(sweep, member, path, shows_plan=number == 1)
        except KeyboardInterrupt as error:
            stopped_by = signal_of(error)
        except Exception as error:
            errors[member.name] = explain(error)[0]
            say(f"failed: {errors[member.name]}")
            continue
        if stopped_by is not None:
            raise _interrupted(sweep, directory, stopped_by)
    return errors


def _interrupted(sweep: Sweep, directory: Path, stopped_by: Signals) -> Interrupted:
    members = sweep.members()
    done = sum(_is_complete(directory / one.name) for one in members)
    return Interrupted(
        f"\ninterrupted: {done} of {len(members)} runs are finished, and what was done is saved.",
        f"go on with: strop sweep --run {shlex.quote(str(directory))}",
        stopped_by,
    )


def _continued(typed: Sequence[str], overrides: Sequence[str], directory: Path) -> Sweep:
    """The existing sweep of this folder, with new values added."""
    existing = sweeps.read(directory)
    recipe = recipes.find(typed[0] if typed else existing.recipe)
    if recipe.typed != existing.recipe:
        raise Usage(f"{directory} is a sweep of {existing.recipe}, not of {recipe.typed}.", hint="choose another --run")
    _refuse_changed(existing, recipe)
    given = _or_usage(lambda: sweeps.given(overrides))
    sweep = _or_usage(lambda: existing.extended(given if typed else {**existing.settings(), **given}))
    _check(sweep, recipe)
    return sweep


def _train_one(sweep: Sweep, member: Member, path: Path, shows_plan: bool) -> Signals | None:
    """Begin or resume a run; returns the signal that stopped it early, if one did."""
    import strop
    from strop import control
    from strop.cli.show_plan import plan

    if _is_complete(path):
        say("finished already")
        return None
    job = training.job([sweep.recipe, *sweep.overrides(member)], str(path), resume=is_run(path))
    _refuse_changed(sweep, job)
    if not isinstance(job.config, control.ControlConfig):
        return strop.train(
            job.config,
            path,
            resume=job.resume,
            recipe=job.text,
            command=job.command,
            announce=(lambda made: plan(made, stderr=True)) if shows_plan else None,
        ).stopped_by
    if job.resume:
        raise Problem(f"Stable-Baselines3 cannot go on with a run that was stopped: remove {path} to begin it again.")
    return control.train(job.config, path, recipe=job.text, command=job.command).stopped_by


def _is_complete(path: Path) -> bool:
    return is_run(path) and standing(RunDirectory(path)).is_complete


def _check(sweep: Sweep, recipe: Recipe) -> None:
    """Refuse combinations that the recipe does not accept, and two that are the same run."""
    configs: list[object] = []
    for member in sweep.members():
        config = recipes.changed(recipe.function, sweep.overrides(member))
        if config in configs:
            twin = sweep.members()[configs.index(config)].name
            raise Usage(f"{twin} and {member.name} are the same run.", hint="give each value once")
        configs.append(config)


def _refuse_changed(sweep: Sweep, recipe: Recipe | Job) -> None:
    if _hash(recipe.text) != sweep.source:
        raise Problem(
            f"{sweep.recipe} has changed since the sweep began: its runs could not be compared.",
            hint="put it back as it was, or start another sweep with another --run",
        )


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16] if text else ""


def _or_usage(call: Callable[[], T]) -> T:
    try:
        return call()
    except ValueError as error:
        raise Usage(str(error), hint="strop sweep --help") from error
