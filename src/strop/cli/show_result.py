"""What a finished training has to say: did it get better, what did it cost, and what to do next."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from strop.cli.abilities import is_scorer, why_mute
from strop.cli.output import commands, console, print_json, say
from strop.cli.show_verdicts import side_by_side, verdicts
from strop.words import plural

if TYPE_CHECKING:
    from strop.cli.training import Job
    from strop.run import Run


def result(run: Run, seconds: float, as_json: bool) -> None:
    """Verdicts, two examples, time and speed."""
    found, metrics = run.verdicts(), run.metrics()
    speed = tokens_per_second(metrics)
    if as_json:
        record = {"run": str(run.path), "interrupted": run.interrupted, "verdicts": found, "seconds": seconds}
        print_json({**record, "tokens_per_second": speed})
        return
    console().print()
    if found:
        with run.directory.reader() as store:
            judged = [step for step, _ in store.series("held_out/reward")]
        verdicts(found)
        side_by_side(run.judged(judged[0]), run.judged(judged[-1]))
    elif not run.config.held_out:
        console().print("not judged: the recipe has no held-out prompts (held_out=[...]).")
    elif not any("held_out/reward" in one for one in metrics) and (texts := run.judged(run.config.steps)):
        console().print("no held-out score: the recipe has no rewards. The answers, to read:")
        side_by_side(run.judged(0), texts, is_scored=False)
    steps = plural(sum("time/step_seconds" in one for one in metrics), "step")
    acting = f"; {speed:.0f} tokens/s while acting" if speed else ""
    console().print(f"\n{steps}; this took {timedelta(seconds=round(seconds))}{acting}")


def what_next(run: Run) -> None:
    """The exact lines to type, those alone that work for this run."""
    name, config = shlex.quote(str(run.path)), run.directory.config()
    lines = [
        *([] if why_mute(config, name) else [(f"strop chat {name}", "talk to it")]),
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
    """After Ctrl-C."""
    say(f"\ninterrupted; everything is saved. Continue with:\n  {job.resume_line}")


def tokens_per_second(metrics: Sequence[Mapping[str, float]]) -> float:
    """Tokens the policy wrote, over the time of the steps, learning included."""
    timed = [one for one in metrics if "time/tokens_per_second" in one]
    seconds = sum(one["time/step_seconds"] for one in timed)
    tokens = sum(one["time/tokens_per_second"] * one["time/step_seconds"] for one in timed)
    return tokens / seconds if seconds else 0.0
