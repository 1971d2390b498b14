"""The plan of a run, printed before it starts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from strop.cli.output import console, pairs, print_json, print_rich, say
from strop.words import plural

if TYPE_CHECKING:
    from strop.config import TrainConfig
    from strop.reports.plan import Plan

MOST_IDS = 48


def plan(made: Plan, stderr: bool = False, verbose: bool = False) -> None:
    """The table of the plan; with `verbose` every field instead of those that differ from their defaults."""
    every = [("every field", " ".join(made.fields))] if verbose else []
    print_rich(pairs([row for row in made.lines() if not every or row[0] != "changed"] + every), stderr)
    console(stderr).print()


def dry_run(config: TrainConfig, as_json: bool, verbose: bool) -> None:
    """The plan and two prompts as the policy reads them; nothing is trained or written."""
    with read(config) as config:
        made = made_of(config)
    if as_json:
        print_json(made)
        return
    with_prompts(made, verbose)
    console().print("dry run: nothing was trained or written")


@contextmanager
def read(config: TrainConfig) -> Iterator[TrainConfig]:
    """The config with its corpus, if it has one, read into a folder that is deleted at the end."""
    from strop.preparing import prepared

    with TemporaryDirectory() as folder, prepared(config, Path(folder) / "corpus", False, say) as config:
        yield config


def made_of(config: TrainConfig) -> Plan:
    """The plan of a config, which is built for it."""
    from strop.reports.plan import make_plan
    from strop.reports.preflight import warnings
    from strop.threads import threads_of

    source, config = threads_of(config.threads).source, config.resolve()
    config.set_up_torch()
    parts = config.build()
    return make_plan(config, parts, source, warnings(config, parts))


def with_prompts(made: Plan, verbose: bool) -> None:
    """The plan and its prompts."""
    plan(made, verbose=verbose)
    out = console()
    for sample in made.samples:
        out.print(f"prompt of task {sample.task}", style="bold")
        out.print(sample.text)
        ids = " ".join(map(str, sample.tokens[:MOST_IDS])) + (" ..." if len(sample.tokens) > MOST_IDS else "")
        out.print(f"{plural(len(sample.tokens), 'id')}: {ids}\n", style="dim")
