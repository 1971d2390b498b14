"""Rewards: `(task, episode) -> float | Unscored | PerTurn | PerToken`, one kind per file.

A reward is a plain function, or a frozen dataclass whose fields are its settings, so that a run's config records
exactly what it was trained on. It reads the policy's text (`episode.text`) and how it ended, and changes nothing. Each
one documents what it measures, its range, and how a policy can exploit it ("Cheated by"). Combine rewards that limit
each other: a single one is sooner or later exploited.

Some are penalties (`Repetition`, `Copying`, `word_heap`, `Toxicity`): give those a negative weight. `Clipped` and
`Scaled` change the numbers of another reward. Where a package computes, it is an extra, and the reward adapts it.

`GroupReward` marks a function that scores all the episodes of a task at once; `from_trl` takes TRL's reward functions.
Models are passed in as callables, so nothing here imports torch or transformers.
"""

from __future__ import annotations

from typing import Any

from strop import loader


def __getattr__(name: str) -> Any:
    return loader.load("rewards", name)


def __dir__() -> list[str]:
    return loader.names("rewards")
