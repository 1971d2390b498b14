"""What a run tells its readers: events, and the summary of an episode that stays when its token ids are dropped."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from strop.types import Part, Task

Purpose: TypeAlias = Literal["train", "evaluate"]
Level: TypeAlias = Literal["info", "warning", "error", "fork", "resume"]

HELD_OUT = "held_out/"
"""Metrics of a judgement on held-out prompts start with this."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something to tell a person. Errors, forks and resumes are the run's history; the rest is redone with its step."""

    step: int
    level: Level
    text: str
    time: float = 0.0


def gist(text: str) -> str:
    """What a warning is about: its first clause."""
    return re.split(r"[(;.]", text, maxsplit=1)[0].strip()


def kind(text: str) -> str:
    """Equal for warnings of one kind, whatever their numbers."""
    return re.sub(r"\d+", "", gist(text))


def grouped(events: Sequence[Event]) -> list[tuple[Event, int]]:
    """Each event once, with how many there are: a warning that repeats stands where it was first said."""
    first: dict[object, tuple[Event, int]] = {}
    for number, event in enumerate(events):
        key = kind(event.text) if event.level == "warning" else number
        said, count = first.get(key, (event, 0))
        first[key] = said, count + 1
    return list(first.values())


@dataclass(frozen=True, slots=True)
class Summary:
    """What a run keeps of every episode for ever: its task, its text and its scores. `cut` says that its last text was
    cut at max_tokens."""

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
