"""How many answers does each reward judge in a second?"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from strop.reports.cheats import asked, shuffled
from strop.reports.scripted import played, scene_of
from strop.types import Episode, Task, Unscored

if TYPE_CHECKING:
    from strop.config import TrainConfig
    from strop.rollout.play import Scene

LONG_ENOUGH = 1.0
"""Seconds for which each reward judges."""


@dataclass(frozen=True, slots=True)
class Speed:
    """A reward's speed: `answers` judged in `seconds`; `step` are the seconds that it needs for a step of training.

    `unscored` of the answers of one round got no score: then the speed is that of failing.
    """

    name: str
    per_second: float
    step: float
    answers: int
    seconds: float
    unscored: int


def speeds(
    config: TrainConfig, tasks: Sequence[Task], text: str, gold: bool, clock: Callable[[], float] = time.perf_counter
) -> list[Speed]:
    """The speed of every reward of a resolved config, in groups of `group_size`, after a first group that is not timed.

    The answers have the words of `text`, else of the task's answer, else of its prompt, in other orders, so that a
    reward that remembers what it has judged gains nothing. `clock` gives seconds: on a busy machine `time.process_time`
    counts only those of this process.
    """
    from strop.streams import stream

    scene = scene_of(config, gold)
    if not scene.rewards:
        raise ValueError("there is no reward to time: rewards=[...] is empty.")
    groups = []
    for i, task in enumerate(tasks):
        words, rng = text or task.answer or asked(task), stream(config.seed, "speed", i)
        group = played(replace(scene, rewards={}), task, [shuffled(words, rng) for _ in range(config.group_size)])
        groups.append([replace(one, id=f"{i}-{one.id}") for one in group])
    of_a_step = config.group_size * config.prompts_per_step
    alone = {name: replace(scene, rewards={name: reward}) for name, reward in scene.rewards.items()}
    return [_speed(name, one, groups, of_a_step, clock) for name, one in alone.items()]


def _speed(
    name: str, scene: Scene, groups: Sequence[Sequence[Episode]], of_a_step: int, clock: Callable[[], float]
) -> Speed:
    """Of the one reward of the scene."""
    from strop.rollout.rewards import score

    score(scene.rewards, groups[:1], scene.reward_seconds)
    scored, rounds, began = list[Episode](), 0, clock()
    while (seconds := clock() - began) < LONG_ENOUGH or not rounds:
        scored = score(scene.rewards, groups, scene.reward_seconds)
        rounds += 1
    answers = rounds * len(scored)
    parts = [one.parts[name].total for one in scored if name in one.parts]
    unscored = len(scored) - sum(not isinstance(part, Unscored) for part in parts)
    return Speed(name, answers / seconds, seconds / answers * of_a_step, answers, seconds, unscored)
