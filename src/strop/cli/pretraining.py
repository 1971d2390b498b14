"""The work of `strop pretrain`: parse the command line."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from strop.cli import recipes
from strop.cli.errors import Usage
from strop.cli.training import Job

MODEL, STEPS = "model=", "steps="
"""Overrides that choose the recipe before the others change it."""


def job(words: Sequence[str], directory: str | None) -> Job:
    """The job of a command line. Raises Usage where that is unclear."""
    from strop.from_scratch import STEPS as USUAL
    from strop.from_scratch import pretraining

    typed, overrides = recipes.split(words)
    if len(typed) != 1:
        what = "which corpus?" if not typed else f"one corpus, not {len(typed)}: {', '.join(typed)}."
        raise Usage(
            what, hint="strop pretrain CORPUS, where CORPUS is a file, a folder, or a name of strop list corpora"
        )
    model = _value(overrides, MODEL) or "transformer"
    steps = _value(overrides, STEPS) or str(USUAL)
    try:
        config = pretraining(typed[0], model, int(steps) if steps.isdecimal() else USUAL)
    except ValueError as error:
        raise Usage(str(error), hint="strop pretrain --help") from error
    config = recipes.override(config, [one for one in overrides if not one.startswith(MODEL)])
    folder = Path(directory) if directory else Path("runs") / f"{Path(typed[0]).stem}-{datetime.now():%Y%m%d-%H%M%S}"
    return Job(config, folder, False, "", "", shlex.join(["strop", "pretrain", *words]), is_fresh=not directory)


def _value(overrides: Sequence[str], name: str) -> str:
    """The value of the last override of this name; empty without one."""
    return next((one.removeprefix(name) for one in reversed(overrides) if one.startswith(name)), "")
