"""The result of a pretraining: perplexity beside n-gram models, samples, and what to do next."""

from __future__ import annotations

import math
import shlex
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from strop.cli.output import commands, console, number, print_json, print_rich, say, table
from strop.reports.excerpts import shortened
from strop.reports.outcome import outcome_of
from strop.reports.pretrained import Perplexity, Pretrained, pretrained_of
from strop.words import plural

if TYPE_CHECKING:
    from strop.run import Run


def result(run: Run, seconds: float, as_json: bool) -> None:
    """Perplexities, samples, time and speed."""
    found, outcome = pretrained_of(run.directory), outcome_of(run.directory)
    if as_json:
        record = {"run": str(run.path), "interrupted": run.interrupted, "pretrained": found, "seconds": seconds}
        print_json({**record, "tokens_per_second": outcome.tokens_per_second})
        return
    console().print()
    page(found)
    took = timedelta(seconds=round(seconds))
    speed = f"; {outcome.tokens_per_second:,.0f} tokens/s while learning" if outcome.tokens_per_second else ""
    console().print(f"\n{plural(outcome.steps, 'step')}; this took {took}{speed}")


def page(found: Pretrained) -> None:
    """The table of perplexities and the samples."""
    out = console()
    if found.rows:
        rows = [(one.who, _token(one), number(one.word), number(one.character)) for one in found.rows]
        columns = ["perplexity of held-out documents", "a token", "a word", "a character"]
        print_rich(table(columns, rows, right=(1, 2, 3)))
        out.print("lower is better; intervals are 95 %, over documents; n-gram models read the same split", style="dim")
    for sample in found.samples:
        out.print("\na sample (not chosen)", style="bold")
        out.print(shortened(sample.strip()) or "(nothing)")


def what_next(run: Run, home: Path | None = None) -> None:
    """The commands to run next, by the name of the folder of all its stages."""
    name, best = shlex.quote(str(home or run.path)), pretrained_of(run.directory).best_step
    last = run.directory.checkpoint_step()
    chosen = name if best in (None, last) else f"{name}@best"
    say("\nnext:")
    commands(
        [
            (f"strop chat {chosen}", "let it go on with a text"),
            (f"strop train RECIPE policy={chosen}", "let a reward teach it (strop new my.py writes a recipe)"),
            (f"strop export {chosen} DIR", "a folder with its weights and tokenizer"),
            (f"strop plot {name} -o curve.png", "a picture"),
        ],
        stderr=True,
    )


def _token(one: Perplexity) -> str:
    return number(one.token.mean) if math.isnan(one.token.low) else str(one.token)
