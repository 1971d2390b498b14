"""What is printed of a run of several stages: its plan, its result, and its page."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from strop.cli import show_pretrained, show_result, show_run, show_sweep
from strop.cli.output import commands, console, print_json, print_rich
from strop.cli.show_verdicts import verdicts
from strop.reports.outcome import outcome_of
from strop.reports.page import page_of
from strop.reports.pretrained import is_pretrained, pretrained_of
from strop.reports.stages import stages_of
from strop.runs.directory import RunDirectory, started
from strop.runs.staged import folders_of, stage_name
from strop.types import PolicyConfig
from strop.words import plural

if TYPE_CHECKING:
    from strop.reports.plan import Plan
    from strop.run import Run
    from strop.stages import Stage


def dry_run(stages: Sequence[Stage], as_json: bool, verbose: bool) -> None:
    """The plan of every stage; nothing is trained or written. A stage is planned with untrained weights."""
    from strop.cli.show_plan import with_prompts

    plans = _plans(stages)
    if as_json:
        print_json({"stages": [{"name": name, "plan": made} for name, made in plans]})
        return
    for number, (name, made) in enumerate(plans, 1):
        _heading(number, len(plans), name)
        with_prompts(made, verbose)
    console().print("dry run: nothing was trained or written")


def result(home: Path, run: Run, seconds: float, as_json: bool) -> None:
    """The verdicts of every stage that has begun, and all of the last one."""
    folders = folders_of(home)
    place = folders.index(home / run.path.name)
    if as_json:
        every = [outcome_of(RunDirectory(folder)) for folder in folders[: place + 1]]
        stages = [{"run": str(folder), "verdicts": one.verdicts} for folder, one in zip(folders, every, strict=False)]
        facts = {"run": str(home), "interrupted": run.interrupted, "verdicts": every[-1].verdicts, "seconds": seconds}
        print_json({**facts, "tokens_per_second": every[-1].tokens_per_second, "stages": stages})
        return
    for number, folder in enumerate(folders[:place], 1):
        console().print()
        _heading(number, len(folders), stage_name(folder))
        _scores(RunDirectory(folder))
    console().print()
    _heading(place + 1, len(folders), stage_name(run.path))
    show_result.result(run, seconds, as_json=False)


def page(home: Path, as_json: bool, verbose: bool) -> None:
    """Every stage in a row, then the page of the last one that has begun."""
    found, last = stages_of(home), started(home)
    shown = page_of(last) if last is not None else None
    if as_json:
        facts = {one.name: getattr(shown, one.name) for one in dataclasses.fields(shown)} if shown is not None else {}
        print_json({**facts, "stages": found})
        return
    console().print(f"{home}: {plural(len(found), 'stage')}", style="bold")
    print_rich(show_sweep.runs(found))
    is_running = any(one.standing is not None and one.standing.status == "running" for one in found)
    if not is_running and not all(one.is_complete for one in found):
        console().print()
        commands([(f"strop train --resume --run {shlex.quote(str(home))}", "continue")])
    if last is not None and shown is not None:
        console().print()
        show_run.page(shown, as_json=False, verbose=verbose, is_stage=True)


def _plans(stages: Sequence[Stage]) -> list[tuple[str, Plan]]:
    """The plan of each stage. A corpus is read, since it says what the vocabulary of all later stages is."""
    from strop.cli.show_plan import made_of, read
    from strop.stages import resolved, with_starts

    plans: list[tuple[str, Plan]] = []
    policies: dict[str, PolicyConfig] = {}
    for stage in resolved(stages):
        linked = with_starts(stage.config, lambda start: dataclasses.replace(start, origin=policies[start.stage]))
        with read(linked) as config:
            plans.append((stage.name, made_of(config)))
        assert not isinstance(config.policy, str)
        policies[stage.name] = config.policy
    return plans


def _scores(directory: RunDirectory) -> None:
    """What an earlier stage has brought."""
    if is_pretrained(directory):
        show_pretrained.page(pretrained_of(directory))
    elif found := outcome_of(directory).verdicts:
        verdicts(found)
    else:
        console().print("not judged before and after")


def _heading(number: int, total: int, name: str) -> None:
    console().print(f"stage {number} of {total}: {name}", style="bold underline")
