"""Descriptions of software that nobody wrote, and the line that sums each up: so a summary can be learnt."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path

ADJECTIVES = ("fast", "small", "modular", "portable", "simple", "graphical")
THINGS = ("editor", "viewer", "server", "compiler", "player", "library")
DATA = ("maps", "letters", "songs", "tables", "images", "molecules")


def pairs() -> list[dict[str, str]]:
    """216 of them, each of 26 words or more and a family of its own."""
    return [_pair(*words) for words in product(ADJECTIVES, THINGS, DATA)]


def write(file: Path, number: int = 216) -> Path:
    """A .jsonl of so many of them, taken evenly."""
    chosen = pairs()[:: max(1, 216 // number)][:number]
    file.write_text("".join(json.dumps(one) + "\n" for one in chosen), encoding="utf-8")
    return file


def _pair(adjective: str, thing: str, data: str) -> dict[str, str]:
    name = f"{adjective[:3]}{thing[:3]}{data[:3]}"
    text = (
        f"{name} is a {adjective} {thing} for {data}. The {thing} of {name} reads {data} and {adjective} {data}, "
        f"{adjective} {thing} by {adjective} {thing}.\n{data.title()} of {name} are {adjective} as a {thing}."
    )
    return {"id": name, "text": text, "summary": f"{adjective} {thing} for {data}", "family": name}
