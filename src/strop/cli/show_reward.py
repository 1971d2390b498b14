"""A reward that was tried out: its parts on one text, or how it spreads over the start model's answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from strop.cli.output import bar, console, number, pairs, print_json, print_rich, table
from strop.types import decimals
from strop.words import plural

if TYPE_CHECKING:
    from strop.reports.signal import Answer, Signal, TextReward


def text(found: TextReward, as_json: bool) -> None:
    """A table of the parts."""
    if as_json:
        print_json(found)
        return
    rows = [
        (name, number(value), f"x {found.weights[name]:g}", number(found.weights[name] * value))
        for name, value in found.parts.items()
    ]
    if found.environment or not rows:
        rows.append(("the environment's own", number(found.environment), "", number(found.environment)))
    print_rich(pairs([("task", f"{found.task}: {found.prompt}"), ("text", found.text)]))
    console().print()
    print_rich(table(["part", "score", "weight", "counts"], rows, right=(1, 2, 3)))
    console().print(f"\nreward {number(found.reward)}", style="bold")


def signal(found: Signal, as_json: bool) -> None:
    """A histogram in text, the numbers, and what they mean."""
    if as_json:
        print_json(found)
        return
    answers, prompts = plural(found.samples, "answer"), plural(found.groups, "prompt")
    out = console()
    out.print(f"{answers} of the start model to {prompts}\n", style="bold")
    _histogram(found)
    rows = [
        ("reward", f"mean {number(found.mean)}, sd {number(found.sd)}, sd inside a group {number(found.in_group_sd)}"),
        ("signal", f"{found.signal:.0%} of the groups hold different rewards"),
        *((f"  {name}", number(value)) for name, value in found.parts.items()),
        *([("unscored", str(found.unscored))] if found.unscored else []),
        ("best", _answer(found.best)),
        ("worst", _answer(found.worst)),
    ]
    out.print()
    print_rich(pairs(rows))
    out.print(f"\n{found.verdict}", style="bold")


def _histogram(found: Signal) -> None:
    out = console()
    width = max(8, min(40, out.width - 24))
    most = max((count for *_, count in found.histogram), default=1)
    for low, high, count in found.histogram:
        label = f"{decimals(low):>7}" + ("        " if low == high else f" {decimals(high):>7}")
        out.print(f"{label}  {bar(count / most, width)} {count}")


def _answer(one: Answer) -> str:
    return f"{number(one.reward)}{', cut at max_tokens' * one.is_cut}  {one.text}"
