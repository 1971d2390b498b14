"""The result of a training: did it get better, what did it cost, and what to do next."""

from __future__ import annotations

import shlex
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from strop.cli import show_pretrained
from strop.cli.output import commands, console, print_json, say
from strop.cli.show_verdicts import besides, examples, verdicts
from strop.reports.abilities import is_scorer, why_not_chat
from strop.reports.outcome import outcome_of
from strop.reports.pretrained import is_pretrained
from strop.words import plural

if TYPE_CHECKING:
    from strop.cli.training import Job
    from strop.run import Run


def result(run: Run, seconds: float, as_json: bool) -> None:
    """Verdicts, two examples, time and speed; of a run on a corpus its perplexity."""
    if is_pretrained(run.directory):
        show_pretrained.result(run, seconds, as_json)
        return
    found = outcome_of(run.directory)
    if as_json:
        record = {"run": str(run.path), "interrupted": run.interrupted, "verdicts": found.verdicts}
        record |= {"besides": found.besides, "seconds": seconds}
        print_json({**record, "tokens_per_second": found.tokens_per_second})
        return
    console().print()
    if found.verdicts:
        verdicts(found.verdicts)
        if found.besides:
            console().print()
            besides(found.besides)
        examples(found.before, found.after)
    elif not found.num_held_out:
        console().print("not judged: the recipe has no held-out prompts (held_out=[...]).")
    elif found.after:
        console().print("no held-out score: the recipe has no rewards. The answers, to read:")
        examples(found.before, found.after, is_scored=False)
    speed = f"; {found.tokens_per_second:.0f} tokens/s while acting" if found.tokens_per_second else ""
    console().print(f"\n{plural(found.steps, 'step')}; this took {timedelta(seconds=round(seconds))}{speed}")


def what_next(run: Run, home: Path | None = None) -> None:
    """The commands to run next, only those that work for this run, by the name of the folder of all its stages."""
    if is_pretrained(run.directory):
        show_pretrained.what_next(run, home)
        return
    name, config = shlex.quote(str(home or run.path)), run.directory.config()
    lines = [
        *([] if why_not_chat(run.directory, name) else [(f"strop chat {name}", "talk to it")]),
        (f"strop show {name}", "curves and episodes"),
        (f"strop plot {name} -o curve.png", "a picture"),
        *([(f"strop eval {name}", "judge it again")] if run.config.held_out else []),
    ]
    if is_scorer(config):
        program = f"import strop; score = strop.TrainedScore({str(run.path)!r})"
        lines.append((program, "in Python: a reward to train on"))
    say("\nnext:")
    commands(lines, stderr=True)


def how_to_resume(job: Job) -> None:
    """The command that continues a run after Ctrl-C."""
    say(f"\ninterrupted; everything is saved. Continue with:\n  {job.resume_line}")
