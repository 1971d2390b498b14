"""The runs that a run started from (`FromRun`, `FromStage`), from their files alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from strop.runs.directory import RunDirectory, is_run, parse_run
from strop.runs.staged import folder_of

RUN, STAGE = "strop.FromRun", "strop.FromStage"


def runs_before(directory: RunDirectory) -> list[tuple[RunDirectory, int]]:
    """Each run before this one, the first one first, and after how many of its steps the next one started. One that is
    not there any more ends the list."""
    found: list[tuple[RunDirectory, int]] = []
    paths = {directory.path.resolve()}
    while (start := _start_of(directory)) is not None and start[0].path.resolve() not in paths:
        found.insert(0, start)
        directory = start[0]
        paths.add(directory.path.resolve())
    return found


def first_policy(directory: RunDirectory) -> Any:
    """The policy of the first of those runs, or of this one, as its config.json says."""
    before = runs_before(directory)
    return (before[0][0] if before else directory).config()["policy"]


def _start_of(directory: RunDirectory) -> tuple[RunDirectory, int] | None:
    """The run that this one started from, and the step of its checkpoint; None if there is none, or it is gone."""
    policy = directory.config()["policy"]
    if not isinstance(policy, Mapping) or policy.get("class") not in (RUN, STAGE):
        return None
    try:
        if policy["class"] == RUN:
            found, selector = parse_run(policy["run"])
            return found, found.checkpoint_step(selector)
        found = RunDirectory(folder_of(directory.path.parent, policy["stage"]))
        return (found, found.checkpoint_step(policy["checkpoint"])) if is_run(found.path) else None
    except ValueError:
        return None
