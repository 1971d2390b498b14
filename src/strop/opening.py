"""Open an existing run by its name: `strop.load`, and `strop.TrainedScore` for the score of a reward model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from strop.run import Run
from strop.runs.directory import RunDirectory, Selector, parse_run
from strop.types import Prompt


def load(run: Path | str) -> Run:
    """A run by its folder or its name in ./runs: `strop.load("runs/first")`, `strop.load("first")`.

    @ selects one of its checkpoints, "first@40" or "first@best"; the default is the latest. The policy is loaded when
    it is first used. Raises ValueError, with the nearest names, if there is no such run or checkpoint.
    """
    directory, selector = parse_run(str(Path(run).expanduser()))
    if isinstance(selector, int) and selector not in (there := directory.checkpoints.steps()):
        raise ValueError(f"{run}: there is no checkpoint {selector}; there are {', '.join(map(str, there)) or 'none'}.")
    return Run(directory, selector)


@dataclass(frozen=True, slots=True)
class TrainedScore:
    """`score(prompt, texts)` of the reward model that a run trained: what `rewards.Learned` takes.

    `run` is a run's folder or its name in ./runs, with @STEP or @best for one of its checkpoints. It is loaded at the
    first call; later changes of the run are not seen.
    """

    run: str

    def __call__(self, prompt: Prompt, texts: Sequence[str]) -> list[float]:
        """One number per text."""
        directory, selector = parse_run(self.run)
        return _opened(directory.path.resolve(), selector).score(prompt, texts)


@cache
def _opened(path: Path, selector: Selector) -> Run:
    return Run(RunDirectory(path), selector)
