"""How many answers does each reward judge in a second?"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from strop.reports.cheats import asked, shuffled
from strop.reports.scripted import played, scene_of
from strop.types import Task, Unscored

if TYPE_CHECKING:
    from strop.config import TrainConfig

LONG_ENOUGH = 1.0
"""Seconds for which each reward judges."""


@dataclass(frozen=True, slots=True)
class Speed:
    """A reward's speed: `answers` judged in `seconds`; `step` are the seconds that it needs for a step of training."""

    name: str
    per_second: float
    step: float
    answers: int
    seconds: float
    unscored: int


def speeds(config: TrainConfig, tasks: Sequence[Task], text: str, gold: bool) -> list[Speed]:
    """The speed of every reward of a resolved config, in groups of `group_size`, after a first group that is not timed.

    The answers have the words of `text`, else of the task's answer, else of its prompt, in other orders, so that a
    reward that remembers what it has judged gains nothing.
    """
    from strop.rollout.rewards import score
    from strop.streams import stream

    scene = scene_of(config, gold)
    if not scene.rewards:
        raise ValueError("there is no reward to time: rewards=[...] is empty.")
    groups = []
    for i, task in enumerate(tasks):
        words = text or task.answer or asked(task)
        rng = stream(config.seed, "speed", i)
        group = played(replace(scene, rewards={}), task, [shuffled(words, rng) for _ in range(config.group_size)])
        groups.append([replace(one, id=f"{i}-{one.id}") for one in group])
    found = []
    for name, reward in scene.rewards.items():
        score({name: reward}, groups[:1], scene.reward_seconds)
        rounds, began = 0, time.perf_counter()
        while (seconds := time.perf_counter() - began) < LONG_ENOUGH or not rounds:
            scored = score({name: reward}, groups, scene.reward_seconds)
            rounds += 1
        answers = rounds * len(scored)
        unscored = sum(isinstance(one.parts[name].total, Unscored) for one in scored if one.parts)
        each = seconds / answers
        step = each * config.group_size * config.prompts_per_step
        found.append(Speed(name, answers / seconds, step, answers, seconds, unscored))
    return found
