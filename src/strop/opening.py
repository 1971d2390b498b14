"""`strop.load`: a run that is there already, by its name."""

from __future__ import annotations

from pathlib import Path

from strop.run import Run
from strop.runs.directory import parse_run


def load(run: Path | str) -> Run:
    """A run by its folder or its name in ./runs: `strop.load("runs/first")`, `strop.load("first")`.

    After @ stands one of its checkpoints, "first@40" or "first@best"; without it the latest is meant. Nothing big is
    read before it is asked for. Raises ValueError, with the nearest names, where there is no such run or checkpoint.
    """
    directory, selector = parse_run(str(Path(run).expanduser()))
    if isinstance(selector, int) and selector not in (there := directory.checkpoints.steps()):
        raise ValueError(f"{run}: there is no checkpoint {selector}; there are {', '.join(map(str, there)) or 'none'}.")
    return Run(directory, selector)
