"""Rewards: `(task, episode) -> float | Unscored | PerTurn | PerToken`, one kind a file.

A reward is a plain function, or a frozen dataclass whose fields are its settings, so that a run can write down exactly
what it was trained on. It reads the text that the policy wrote (`episode.text`) and how it ended, and changes nothing.
Each one says what it measures, in which range, and how it can be cheated: a reward without a counterweight is.

Some measure what is not wanted (`Repetition`, `Copying`, `word_heap`): give those a negative weight.

`GroupReward` marks a function that scores all the episodes of a task at once; `from_trl` takes TRL's reward functions.
Models come in as callables, so nothing here imports torch or transformers.
"""

from __future__ import annotations

from typing import Any

from strop import loader


def __getattr__(name: str) -> Any:
    return loader.load("rewards", name)


def __dir__() -> list[str]:
    return loader.names("rewards")
