"""Held-out scores before and after, and two examples beside each other."""

from __future__ import annotations

from collections.abc import Sequence

from strop.cli.output import console, number, print_rich, table
from strop.intervals import METHOD
from strop.reports.verdicts import Verdict
from strop.types import Episode, Unscored

MOST_CHARS = 600


def verdicts(found: Sequence[Verdict]) -> None:
    """The table, and what it says in words; a fall stands out."""
    rows = [(v.name, str(v.before), str(v.after), f"{v.difference:+}") for v in found]
    print_rich(table(["held out", "before", "after", "difference"], rows))
    out = console()
    out.print(f"means over prompts; the difference is paired by prompt\n{METHOD}\n", style="dim")
    for verdict in found:
        warned = verdict.fell
        out.print(("warning: " if warned else "") + verdict.sentence, style="bold red" if warned else "bold")


def side_by_side(before: Sequence[Episode], after: Sequence[Episode], is_scored: bool = True, n: int = 2) -> None:
    """The first n held-out prompts, not chosen, with what was said to them before and after, and what it earned where
    something pays."""
    from rich.box import ROUNDED
    from rich.table import Table
    from rich.text import Text

    later = {episode.task.id: episode for episode in after}
    both = [(episode, later[episode.task.id]) for episode in before if episode.task.id in later][:n]
    if not both:
        return
    out = console()
    out.print(f"\nthe first {len(both)} held-out prompts (not chosen), before and after", style="bold")
    for old, new in both:
        columns = Table(box=ROUNDED, padding=(0, 1), expand=True, header_style="none")
        columns.add_column(Text(f"before{_earned(old, is_scored)}{cut(old)}"), ratio=1, overflow="fold")
        columns.add_column(Text(f"after{_earned(new, is_scored)}{cut(new)}"), ratio=1, overflow="fold")
        columns.add_row(Text(said(old)), Text(said(new)))
        out.print(f"\n{asked(old)}", style="italic")
        out.print(columns)


def asked(episode: Episode) -> str:
    """The last message of the task's prompt."""
    prompt = episode.task.prompt
    return shortened(prompt if isinstance(prompt, str) else prompt[-1]["content"] if prompt else "")


def said(episode: Episode) -> str:
    """What the policy wrote, its turns in one line if they are words."""
    texts = [turn.text for turn in episode.turns]
    short = len(texts) > 1 and all(len(text) < 24 and "\n" not in text for text in texts)
    return shortened((" · " if short else "\n").join(texts)) or "(nothing)"


def cut(episode: Episode) -> str:
    """Said of a text that did not end by itself. Where an action is one token there is nothing to cut."""
    last = episode.turns[-1].completion if episode.turns else None
    return ", cut at max_tokens" if last is not None and last.finish == "length" and len(last.tokens) > 1 else ""


def shortened(text: str) -> str:
    """The beginning of a long text, with nothing in it that moves a terminal's cursor."""
    text = "".join(letter if letter.isprintable() or letter == "\n" else " " for letter in text)
    return text if len(text) <= MOST_CHARS else f"{text[:MOST_CHARS]} ... ({len(text)} characters)"


def _earned(episode: Episode, is_scored: bool) -> str:
    if not is_scored:
        return ""
    return ", reward " + ("unscored" if isinstance(episode.reward, Unscored) else number(episode.reward))
