"""Facts about a run of several stages, read from the files of its stages."""

from __future__ import annotations

from pathlib import Path

from strop.reports.seeds import Result, result_of
from strop.runs.directory import RunDirectory, is_run
from strop.runs.staged import folders_of
from strop.runs.standing import standing


def stages_of(home: Path) -> list[Result]:
    """Each stage, begun or not."""
    return [result_of(folder.name, folder, {}) for folder in folders_of(home)]


def begun_stages(home: Path) -> list[tuple[RunDirectory, int]]:
    """The stages that have begun, and how many steps were done before each."""
    found, before = list[tuple[RunDirectory, int]](), 0
    for folder in folders_of(home):
        if is_run(folder):
            found.append((RunDirectory(folder), before))
            before += standing(RunDirectory(folder)).done
    return found
