"""`strop train` of a recipe that is a list of stages."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from strop.cli import recipes, show_fields, show_result, show_stages, training
from strop.cli.errors import DONE, Usage, exit_code
from strop.runs.directory import RunDirectory, is_run, started
from strop.runs.staged import folders_of, stage_name

if TYPE_CHECKING:
    from strop.stages import Stage


def train(job: training.Job, stages: list[Stage], args: argparse.Namespace) -> int:
    """Train one after the other, and say whether it got better."""
    if args.fields:
        show_fields.page(stages, as_json=args.json, parameters=job.parameters)
        return DONE
    if args.dry_run:
        show_stages.dry_run(stages, as_json=args.json, verbose=args.verbose)
        return DONE
    with training.claimed(job) as job, training.resumable(job):
        done, seconds = training.train(job, args.verbose, args.keep_all)
        show_stages.result(job.directory, done, seconds, as_json=args.json)
        if done.interrupted:
            show_result.how_to_resume(job)
            return exit_code(done.stopped_by)
        show_result.what_next(done, job.directory)
        return DONE


def continued(home: Path, typed: Sequence[str], overrides: Sequence[str]) -> training.Job:
    """The job that goes on with a run of several stages."""
    from strop.staging import stages_in

    _refuse_more_steps_behind(home, overrides)
    if not typed:
        stages = recipes.override(stages_in(home), overrides)
        first = folders_of(home)[0]
        command = RunDirectory(first).provenance().get("command", "") if is_run(first) else ""
        words = shlex.split(command) or ["strop", "train"]
        return training.Job(stages, home, True, "", "", shlex.join([*words, *overrides]))
    recipe = recipes.find(typed[0], overrides)
    if not isinstance(recipe.config, list):
        names = ", ".join(stage_name(folder) for folder in folders_of(home))
        raise Usage(
            f"{home} has the stages {names}, and {recipe.typed} has none.",
            hint=f"strop train --resume --run {shlex.quote(str(home))} goes on with its own recipe",
        )
    command = shlex.join(["strop", "train", *typed, *overrides])
    return training.Job(recipe.config, home, True, recipe.typed, recipe.text, command)


def _refuse_more_steps_behind(home: Path, overrides: Sequence[str]) -> None:
    """Refuse other steps for a stage that a later one has started from: they would not be trained."""
    last = started(home)
    for folder in folders_of(home):
        if last is None or folder == last.path:
            return
        name, steps = stage_name(folder), str(RunDirectory(folder).config()["steps"])
        if given := [one for one in overrides if one.startswith(f"{name}.steps=") and one.partition("=")[2] != steps]:
            raise Usage(
                f"{given[-1]}: stage {name} is done, and {stage_name(last.path)} has begun after it.",
                hint="train the recipe anew, in another --run",
            )
