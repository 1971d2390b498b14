"""What a run tells its readers: events, and the summary of an episode that stays when its token ids are dropped."""

from __future__ import annotations

from collections.abc import Mapping
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


@dataclass(frozen=True, slots=True)
class Summary:
    """What a run keeps of every episode for ever: its task, its text and its scores."""

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
