"""An attack on a reward: what scored above an honest answer, and what as high; and how fast each reward judges."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING

from strop.cli.output import console, number, print_json, print_rich, table
from strop.reports.excerpts import on_one_line
from strop.words import plural

if TYPE_CHECKING:
    from strop.reports.attack import Attack, Attempt
    from strop.reports.speed import Speed

CHARS = 90
"""Of a text in a table; --json has it whole."""
MOST_ALONE = 5


def attacked(found: Attack, recipe: str, as_json: bool) -> None:
    """A row for each kind of text that scores at least as high as an honest answer, at its worst task."""
    if as_json:
        print_json(found)
        return
    out = console()
    for attempts, where in ((found.of("above"), "above"), (found.of("equal"), "as high as")):
        if attempts:
            out.print(f"{where} an honest answer\n", style="bold")
            print_rich(table(["text", "scores", "honest", "tasks", ""], _rows(attempts, len(found.honest)), (1, 2)))
            out.print()
    shown = {one.kind for one in (*found.of("above"), *found.of("equal"))}
    if below := {one.kind for one in found.of("below")} - shown:
        out.print(f"below: {', '.join(sorted(below))}\n")
    if unscored := found.of("unscored"):
        out.print(f"without a score: {', '.join(sorted({one.kind for one in unscored}))}\n")
    if found.unjudged:
        _alone(found, recipe)
    out.print(found.verdict, style="bold")


def speeds(found: Sequence[Speed], as_json: bool) -> None:
    """A row for each reward."""
    if as_json:
        print_json(found)
        return
    rows = [
        (one.name, f"{one.per_second:,.0f}", f"{one.step:.2g}", str(one.unscored) if one.unscored else "")
        for one in found
    ]
    print_rich(table(["part", "answers a second", "seconds a step", "unscored"], rows, right=(1, 2, 3)))


def _rows(attempts: Sequence[Attempt], num_tasks: int) -> list[tuple[str, ...]]:
    """The worst attempt of each kind, and at how many tasks it gets so far."""
    worst: dict[str, list[Attempt]] = {}
    for one in attempts:
        worst.setdefault(one.kind, []).append(one)
    return [
        (kind, number(of[0].reward), number(of[0].honest), f"{len(of)} of {num_tasks}", on_one_line(of[0].text, CHARS))
        for kind, of in worst.items()
    ]


def _alone(found: Attack, recipe: str) -> None:
    """What cannot be judged, why, and what scores highest there."""
    out = console()
    first, why = next(iter(found.unjudged.items()))
    out.print(f"{plural(len(found.unjudged), 'task')} of {found.tasks} cannot be judged: {first!r}, {why}.")
    out.print(f'Give an honest answer: strop score {recipe} "an honest answer" --task {shlex.quote(first)} --attack\n')
    best: dict[str, Attempt] = {}
    for one in found.of("alone"):
        best.setdefault(one.kind, one)
    rows = [(one.kind, number(one.reward), on_one_line(one.text, CHARS)) for one in list(best.values())[:MOST_ALONE]]
    if rows:
        print_rich(table(["text", "scores", ""], rows, (1,)))
        out.print()
