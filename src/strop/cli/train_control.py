"""`strop train` of a recipe that Stable-Baselines3 runs."""

from __future__ import annotations

import shlex
import time
from datetime import timedelta
from typing import TYPE_CHECKING

from strop.cli.errors import DONE, Problem, exit_code
from strop.cli.output import commands, console, pairs, print_json, print_rich, say
from strop.cli.show_verdicts import verdicts
from strop.cli.training import claimed

if TYPE_CHECKING:
    from strop.cli.training import Job
    from strop.control import ControlConfig, ControlRun


def train(job: Job, config: ControlConfig, dry_run: bool, as_json: bool, verbose: bool, keep_all: bool) -> int:
    """Train, and say whether it got better."""
    from strop import control
    from strop.reports.settings import every_setting
    from strop.runs.spec import encode

    if job.resume:
        raise Problem(
            f"{job.directory} was trained by Stable-Baselines3, which owns its loop: it cannot go on as it was.",
            hint="start another run, with more steps=...",
        )
    lines = control.plan_of(config)
    lines |= {"every field": " ".join(every_setting(encode(config)))} if verbose else {}
    if dry_run:
        _dry_run(lines, as_json)
        return DONE
    with claimed(job) as job:
        say(f"run: {job.directory}\n")
        print_rich(pairs(lines.items()), stderr=True)
        console(stderr=True).print()
        started = time.monotonic()
        run = control.train(config, job.directory, recipe=job.text, command=job.command, keep_all=keep_all)
    _result(run, time.monotonic() - started, as_json)
    return exit_code(run.stopped_by)


def _dry_run(lines: dict[str, str], as_json: bool) -> None:
    if as_json:
        print_json(lines)
        return
    print_rich(pairs(lines.items()))
    console().print("\ndry run: nothing was trained or written")


def _result(run: ControlRun, seconds: float, as_json: bool) -> None:
    from strop.control import checkpoints

    found = run.verdicts()
    if as_json:
        facts = {"run": str(run.path), "interrupted": run.interrupted, "verdicts": found, "seconds": seconds}
        print_json(facts)
        return
    verdicts(found)
    console().print(f"\nthis took {timedelta(seconds=round(seconds))}")
    name, newest = shlex.quote(str(run.path)), checkpoints(run.directory)[-1:]
    rows = [(f"strop show {name}", "curves and events"), (f"strop plot {name} -o curve.png", "as a picture")]
    kind = run.config.algorithm
    load = f"from stable_baselines3 import {kind}; model = {kind}.load"
    rows += [(f"{load}({str(file)!r})", "in Python: the policy") for file in newest]
    say("\ninterrupted; what was learnt is saved" if run.interrupted else "\nnext:")
    commands(rows, stderr=True)
