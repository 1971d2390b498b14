"""What strop holds, by room."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from strop import loader
from strop.cli.output import console, pairs, print_rich


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that can be named: its public name, and of a model the folder."""

    name: str
    summary: str
    place: str


def entries(room: str) -> list[Entry]:
    """What a room holds, one line each."""
    if room == "models":
        from strop.hub.models import local_models

        return [Entry(model.name, model.origin, str(model.path or "")) for model in local_models()]
    modules = loader.modules(room)
    if room == "recipes":
        return [
            Entry(one.name, one.summary, f"strop.recipes.{one.name}") for one in modules if "recipe" in one.functions
        ]
    if room == "rewards":
        return [Entry(name, one.summaries[name], f"strop.rewards.{name}") for one in modules for name in one.public]
    return [
        Entry(name, _told(name, one.summary), f"strop.{room}.{name}")
        for one in modules
        for name in one.configured or one.classes
    ]


def show(found: Mapping[str, Sequence[Entry]]) -> None:
    """One paragraph a room."""
    for number, (room, some) in enumerate(found.items()):
        console().print(("\n" if number else "") + room, style="bold underline")
        print_rich(pairs((entry.name, _line(room, entry)) for entry in some))


def _line(room: str, entry: Entry) -> str:
    if room != "models":
        return entry.summary
    return entry.place or f"not fetched yet: strop models get {entry.name}"


def _told(name: str, summary: str) -> str:
    """The summary without the name, where it begins with it."""
    head, _, rest = summary.partition(": ")
    return rest if rest and _plain(head) == _plain(name) else summary


def _plain(text: str) -> str:
    return "".join(letter for letter in text.casefold() if letter.isalnum())
