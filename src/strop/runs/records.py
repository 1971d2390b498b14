"""Records of a run for its readers: events, and episode summaries, which outlive the token ids."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from strop.types import Part, Task

Purpose: TypeAlias = Literal["train", "evaluate"]
Level: TypeAlias = Literal["info", "warning", "error", "fork", "resume"]

HELD_OUT = "held_out/"
"""Prefix of the metrics of a held-out evaluation."""

EARLY_STOP = "early stop"
"""How the event begins that says why a run ended before its last step."""


@dataclass(frozen=True, slots=True)
class Event:
    """A message for the user. A resume keeps errors, forks and resumes; others are written again with their step."""

    step: int
    level: Level
    text: str
    time: float = 0.0


def gist(text: str) -> str:
    """The first clause of a warning, which names its subject."""
    return re.split(r"[(;.]", text, maxsplit=1)[0].strip()


def kind(text: str) -> str:
    """A key that is equal for warnings that differ only in their numbers."""
    return re.sub(r"\d+", "", gist(text))


def grouped(events: Sequence[Event]) -> list[tuple[Event, int]]:
    """Each event with its count: a repeated warning is listed once, where it first occurred."""
    first: dict[object, tuple[Event, int]] = {}
    for number, event in enumerate(events):
        key = kind(event.text) if event.level == "warning" else number
        original, count = first.get(key, (event, 0))
        first[key] = original, count + 1
    return list(first.values())


@dataclass(frozen=True, slots=True)
class Summary:
    """What a run keeps of every episode: its task, text and scores. `cut`: its last completion was cut at max_tokens;
    `kept`: its token ids are still there."""

    id: str
    step: int
    purpose: Purpose
    group: int
    task: Task
    text: str
    end: str
    error: str
    reward: float | None
    reason: str | None
    parts: Mapping[str, Part]
    kept: bool
    num_turns: int
    cut: bool
