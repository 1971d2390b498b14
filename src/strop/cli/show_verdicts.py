"""Held-out scores before and after training, and two example answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from strop.cli.output import console, number, pairs, print_rich, table
from strop.intervals import METHOD
from strop.reports.baselines import Beside
from strop.reports.excerpts import answer_of, is_cut, last_message
from strop.reports.verdicts import Verdict
from strop.types import Episode, Unscored
from strop.words import plural

if TYPE_CHECKING:
    from strop.reports.judgement import Judged

PER_CHARACTER = "perplexity_character"
"""A mean that only a run on a corpus has."""


def judgement(judged: Judged) -> None:
    """Scores with intervals; before and after where there are both."""
    found = judged.judgement
    at = "" if found.step is None else f" after {plural(found.step, 'step')}"
    on = "held-out documents" if PER_CHARACTER in found.means else plural(found.prompts, "held-out prompt")
    console().print(f"{found.who}{at}, judged on {on}\n", style="bold")
    if found.verdicts:
        verdicts(found.verdicts)
    elif found.scores:
        print_rich(table(["held out", "mean, 95 % interval"], [(name, str(one)) for name, one in found.scores.items()]))
        console().print(f"means over prompts\n{METHOD}", style="dim")
    if found.besides:
        console().print()
        besides(found.besides)
    if found.verdicts or found.scores:
        console().print()
    means = {name: value for name, value in found.means.items() if value or name != "unscored"}
    print_rich(pairs((name, number(value)) for name, value in means.items()))
    examples(judged.before, judged.after, is_scored="reward" in found.scores)


def verdicts(found: Sequence[Verdict]) -> None:
    """The table and its verdicts in words; a score that fell is a red warning."""
    rows = [(v.name, str(v.before), str(v.after), f"{v.difference:+}") for v in found]
    print_rich(table(["held out", "before", "after", "difference"], rows))
    out = console()
    out.print(f"means over prompts; the difference is paired by prompt\n{METHOD}\n", style="dim")
    for verdict in found:
        style = "bold red" if verdict.fell else "bold"
        out.print(("warning: " if verdict.fell else "") + verdict.sentence, style=style)


def besides(found: Sequence[Beside]) -> None:
    """The baselines in a table and in words. One may be the best that there is, so being below it is no warning."""
    gold = any(one.gold is not None for one in found)
    heads = ["beside it", "reward", "policy higher by", *(["gold"] if gold else [])]
    rows = [
        (one.name, str(one.reward), f"{one.difference:+}", *([str(one.gold or "")] if gold else [])) for one in found
    ]
    print_rich(table(heads, rows))
    out = console()
    out.print("means over prompts; differences are paired by prompt\n", style="dim")
    for one in found:
        out.print(one.sentence, style="bold")


def examples(before: Sequence[Episode], after: Sequence[Episode], is_scored: bool = True, n: int = 2) -> None:
    """The first n held-out prompts, not chosen, with the answers before and after, and their rewards if any."""
    from rich.box import ROUNDED
    from rich.table import Table
    from rich.text import Text

    later = {episode.task.id: episode for episode in after}
    both = [(episode, later[episode.task.id]) for episode in before if episode.task.id in later][:n]
    if not both:
        return
    out = console()
    what = "held-out prompts" if any(old.task.prompt for old, _ in both) else "samples"
    out.print(f"\nthe first {len(both)} {what} (not chosen), before and after", style="bold")
    for old, new in both:
        columns = Table(box=ROUNDED, padding=(0, 1), expand=True, header_style="none")
        columns.add_column(Text(f"before{_ending(old, is_scored)}"), ratio=1, overflow="fold")
        columns.add_column(Text(f"after{_ending(new, is_scored)}"), ratio=1, overflow="fold")
        columns.add_row(Text(answer_of(old)), Text(answer_of(new)))
        if prompt := last_message(old.task.prompt):
            out.print(f"\n{prompt}", style="italic")
        out.print(columns)


def _ending(episode: Episode, is_scored: bool) -> str:
    """The reward of a text, if there are rewards, and whether it was cut."""
    reward = "unscored" if isinstance(episode.reward, Unscored) else number(episode.reward)
    return (f", reward {reward}" if is_scored else "") + (", cut at max_tokens" if is_cut(episode) else "")
