"""An episode of a run in a few lines: prompt, text, reward and how it ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

from strop.cli.output import console, number, pairs, print_rich
from strop.reports.excerpts import last_message, shortened
from strop.runs.records import Summary
from strop.types import Unscored
from strop.words import last_line, plural

if TYPE_CHECKING:
    from rich.console import RenderableType

    from strop.reports.page import StepEpisodes

MOST_TURN_CHARS = 160


def episodes(found: StepEpisodes) -> None:
    """Every episode, and how it ended."""
    for one in found.episodes:
        console().print(f"\n{one.id}, group {one.group}, {ending(one, found.max_tokens)}", style="bold")
        print_rich(_lines(one, found.pays))


def episode(name: str, one: Summary, max_tokens: int) -> None:
    """The best or the worst episode of a step, with how it ended unless that is the usual `terminated`."""
    end = ending(one, max_tokens)
    ended = "" if end == "terminated" else f", {end}"
    console().print(f"\n{name} episode of step {one.step}{ended}", style="bold")
    print_rich(_lines(one))


def ending(one: Summary, max_tokens: int) -> str:
    """How it ended. A text cut at max_tokens says so even if its environment calls it terminated; an action of
    one token is never cut."""
    return "cut at max_tokens" if one.end == "terminated" and one.cut and max_tokens > 1 else one.end


def _lines(one: Summary, pays: bool = True) -> RenderableType:
    reward = f"unscored: {last_line(one.reason or '')}" if one.reward is None else number(one.reward) if pays else ""
    return pairs(
        [
            *([("prompt", prompt)] if (prompt := last_message(one.task.prompt)) else []),
            ("text", _text(one) or "(nothing)"),
            *([("reward", reward)] if reward else []),
            *((f"  {name}", _total(part.total)) for name, part in one.parts.items()),
        ]
    )


def _text(one: Summary) -> str:
    """The text; many short turns on one line."""
    turns = one.text.split("\n")
    if one.num_turns < 2 or len(turns) != one.num_turns or any(len(turn) >= 24 for turn in turns):
        return shortened(one.text)
    joined = shortened(" · ".join(turns))
    if len(joined) <= MOST_TURN_CHARS:
        return joined
    return f"{joined[:MOST_TURN_CHARS].rpartition(' · ')[0]} · ... ({plural(one.num_turns, 'turn')})"


def _total(total: float | Unscored) -> str:
    return f"unscored: {last_line(total.reason)}" if isinstance(total, Unscored) else number(total)
