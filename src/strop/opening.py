"""`strop.load`: open an existing run by its name."""

from __future__ import annotations

from pathlib import Path

from strop.run import Run
from strop.runs.directory import parse_run


def load(run: Path | str) -> Run:
    """A run by its folder or its name in ./runs: `strop.load("runs/first")`, `strop.load("first")`.

    @ selects one of its checkpoints, "first@40" or "first@best"; the default is the latest. The policy is loaded when
    it is first used. Raises ValueError, with the nearest names, if there is no such run or checkpoint.
    """
    directory, selector = parse_run(str(Path(run).expanduser()))
    if isinstance(selector, int) and selector not in (there := directory.checkpoints.steps()):
        raise ValueError(f"{run}: there is no checkpoint {selector}; there are {', '.join(map(str, there)) or 'none'}.")
    return Run(directory, selector)
