"""The work of `strop pretrain`: parse the command line."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from strop.cli import recipes
from strop.cli.errors import Usage
from strop.cli.training import Job

MODEL, POLICY = "model=", "policy="
"""The override that chooses the model, and what is sometimes written for it."""
LISTED = "strop pretrain CORPUS --fields"
"""The command that lists every field."""


def job(words: Sequence[str], directory: str | None) -> Job:
    """The job of a command line. Raises Usage where that is unclear."""
    from strop.from_scratch import MODELS, pretraining

    typed, overrides = recipes.split(words)
    if len(typed) != 1:
        what = "which corpus?" if not typed else f"one corpus, not {len(typed)}: {', '.join(typed)}."
        raise Usage(
            what, hint="strop pretrain CORPUS, where CORPUS is a file, a folder, or a name of strop list corpora"
        )
    model, fields = _value(overrides, MODEL, "transformer"), [one for one in overrides if not one.startswith(MODEL)]
    if (wrong := _value(fields, POLICY, "")) in MODELS:
        raise Usage(f"{POLICY}{wrong}: it is written {MODEL}{wrong}.", hint="strop pretrain --help")
    try:
        asked = recipes.override(pretraining(typed[0], model), fields, LISTED)
    except ValueError as error:
        raise Usage(str(error), hint="strop pretrain --help") from error
    learner = model if isinstance(asked.policy, str) else asked.policy
    usual = pretraining(typed[0], learner, asked.steps)  # what is not asked for depends on steps and an n-gram's order
    config = recipes.override(usual, fields, LISTED)
    folder = Path(directory) if directory else Path("runs") / f"{Path(typed[0]).stem}-{datetime.now():%Y%m%d-%H%M%S}"
    return Job(config, folder, False, "", "", shlex.join(["strop", "pretrain", *words]), is_fresh=not directory)


def check(job: Job) -> None:
    """Raise ValueError, before a folder is made, if the corpus is not there or holds no text."""
    from strop.config import TrainConfig
    from strop.data.prepared import check_source

    assert isinstance(job.config, TrainConfig)
    if job.config.corpus is not None:
        check_source(job.config.corpus)


def _value(overrides: Sequence[str], name: str, usual: str) -> str:
    """The value of the last override of this name."""
    return next((one.removeprefix(name) for one in reversed(overrides) if one.startswith(name)), usual)
