"""The result of a pretraining: perplexity beside n-gram models, samples, and what to do next."""

from __future__ import annotations

import math
import shlex
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from strop.cli.output import commands, console, number, print_json, print_rich, say, table
from strop.intervals import Interval
from strop.reports.abilities import is_masked
from strop.reports.excerpts import shortened
from strop.reports.outcome import outcome_of
from strop.reports.pretrained import Filled, Pretrained, pretrained_of
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
        rows = [(one.who, _with_interval(one.token), number(one.word), number(one.character)) for one in found.rows]
        columns = ["perplexity of held-out documents", "a token", "a word", "a character"]
        print_rich(table(columns, rows, right=(1, 2, 3)))
        out.print("lower is better; intervals are 95 %, over documents; n-gram models read the same split", style="dim")
    if found.filled:
        _filled(found.filled)
    title = (
        "a held-out sentence (not chosen), with words hidden and filled in" if found.filled else "a sample (not chosen)"
    )
    for sample in found.samples:
        out.print(f"\n{title}", style="bold")
        out.print(shortened(sample.strip()) or "(nothing)", markup=False)


def _filled(rows: Sequence[Filled]) -> None:
    """How hidden tokens are filled in."""
    body = [(one.who, _with_interval(one.loss), f"{one.right:.1%}") for one in rows]
    print_rich(table(["hidden tokens of held-out documents", "loss", "filled in right"], body, right=(1, 2)))
    told = (
        "15 % of the tokens are hidden, always the same ones; the loss is in nats a token, lower is better, and no "
        "perplexity of a text: each token is told from both sides; unigram guesses by how frequent a token is"
    )
    console().print(told, style="dim")


def what_next(run: Run, home: Path | None = None) -> None:
    """The commands to run next, by the name of the folder of all its stages."""
    name, best = shlex.quote(str(home or run.path)), pretrained_of(run.directory).best_step
    last = run.directory.checkpoint_step()
    chosen = name if best in (None, last) else f"{name}@best"
    begins = f"strop train RECIPE policy={chosen}"
    if is_masked(run.directory.config()):
        uses = [
            (f"{begins} policy.actions=yes,no sampling.max_tokens=1", "a classifier: it chooses a word after a text"),
            (f"{begins} policy.value_head=true algorithm=reward_model", "a reward model, from pairs of answers"),
        ]
    else:
        uses = [
            (f"strop chat {chosen}", "let it go on with a text"),
            (begins, "let a reward teach it (strop new my.py writes a recipe)"),
        ]
    uses += [
        (f"strop export {chosen} DIR", "a folder with its weights and tokenizer"),
        (f"strop plot {name} -o curve.png", "a picture"),
    ]
    say("\nnext:")
    commands(uses, stderr=True)


def _with_interval(one: Interval) -> str:
    return number(one.mean) if math.isnan(one.low) else str(one)
