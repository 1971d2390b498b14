"""`strop show` of a run."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from strop.cli import show_corpus, show_episode, show_pretrained
from strop.cli.output import commands, console, number, pairs, print_json, print_rich, sparkline, table
from strop.cli.show_verdicts import besides, verdicts
from strop.reports.excerpts import shortened
from strop.reports.page import Page
from strop.runs.records import Event, grouped
from strop.runs.standing import INTERRUPTED, STOPPED
from strop.words import plural

if TYPE_CHECKING:
    from rich.console import RenderableType

MOST_EVENTS, MOST_ROWS = 8, 24


def page(found: Page, as_json: bool, verbose: bool, is_stage: bool = False) -> None:
    """Everything on one page; with `verbose` every field of the config. A stage is not continued alone."""
    if as_json:
        print_json(found)
        return
    out = console()
    out.print(f"{found.run}: {found.status}, {found.done} of {plural(found.steps, 'step')}\n", style="bold")
    _config(found, verbose, is_stage)
    if found.corpus is not None:
        out.print()
        show_corpus.page(found.corpus, found.run)
    if found.curves:
        out.print()
        print_rich(_curves(found.curves, out.width))
    if found.verdicts:
        out.print()
        verdicts(found.verdicts)
    if found.besides:
        out.print()
        besides(found.besides)
    if found.pretrained is not None:
        out.print()
        show_pretrained.page(found.pretrained)
    if found.table:
        out.print(f"\nthe learnt table ({plural(len(found.table), 'context')})", style="bold")
        print_rich(_table(found.table))
    if found.events:
        _events(found.events)
    for name, one in (("best", found.best), ("worst", found.worst)):
        if one is not None:
            show_episode.episode(name, one, found.max_tokens)


def _config(found: Page, verbose: bool, is_stage: bool) -> None:
    """The plan, the checkpoints, and the command that continues a stopped run."""
    rows = [(name, text) for name, text in found.config.items() if not (verbose and name == "changed")]
    rows += [("every field", " ".join(found.fields))] if verbose else []
    steps = [f"{step} (best)" if step == found.best_checkpoint else str(step) for step in found.checkpoints]
    print_rich(pairs([*rows, ("checkpoints", ", ".join(steps or found.files) or "none")]))
    if found.status in (STOPPED, INTERRUPTED) and found.checkpoints and not is_stage:
        commands([(f"strop train --resume --run {shlex.quote(found.run)}", "continue")])


def _curves(curves: Mapping[str, Sequence[tuple[int, float]]], width: int) -> RenderableType:
    rows = []
    for name, points in curves.items():
        values = [value for _, value in points]
        rows.append((name, sparkline(values, min(60, max(16, width - 52))), number(values[0]), number(values[-1])))
    return table(["curve", "", "first", "last"], rows, right=(2, 3))


def _table(rows: Mapping[str, Mapping[str, float]]) -> RenderableType:
    words = list(next(iter(rows.values())))
    shown = list(rows.items())[:MOST_ROWS]
    body = [(context, *(number(row[word]) for word in words)) for context, row in shown]
    return table(["context", *words], body, right=range(1, len(words) + 1))


def _events(events: Sequence[Event]) -> None:
    groups = grouped(events)
    hidden = len(groups) - MOST_EVENTS
    more = f" (the last {MOST_EVENTS}; {hidden} more)" if hidden > 0 else ""
    console().print(f"\nevents{more}", style="bold")
    print_rich(table(["step", "kind", ""], [_event(*one) for one in groups[-MOST_EVENTS:]], right=(0,)))


def _event(event: Event, count: int) -> tuple[str, str, str]:
    lines = event.text.strip().splitlines() or [""]
    again = f" (again at {plural(count - 1, 'more step')})" if count > 1 else ""
    return str(event.step), event.level, shortened(lines[-1] if event.level == "error" else lines[0]) + again
