"""Imitate a player first, then learn from rewards: two stages of a policy from scratch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import strop
from strop.types import Task

SHARE = 0.2
"""Of the minutes, for imitation."""


def taught(config: strop.TrainConfig, shown: Sequence[Task], size: int, steps: int, name: str) -> list[strop.Stage]:
    """Imitate the episodes `shown`, then go on as `config` does, in its minutes together.

    size   episodes of a step of imitation
    steps  of imitation at most
    name   of the second stage; the first is "imitate"
    """
    assert config.minutes is not None, "the recipe sets them"
    imitating = replace(
        config,
        tasks=list(shown),
        algorithm=strop.algorithms.SFT.Config(optimizer=strop.optimizer.AdamW(lr=3e-3), end=False),
        memory=strop.memory.Dataset.Config(size=size),
        baselines={},  # they stand beside the second stage, on the same held-out tasks
        steps=min(steps, config.steps),
        minutes=SHARE * config.minutes,
    )
    going_on = replace(
        config,
        policy=strop.FromStage("imitate", value_head=True),
        minutes=(1.0 - SHARE) * config.minutes,
    )
    return [strop.Stage("imitate", imitating), strop.Stage(name, going_on)]
