"""Rewards: `(task, episode) -> float | Unscored | PerTurn | PerToken`, one kind a file.

A reward is a plain function, or a frozen dataclass whose fields are its settings, so that a run can write down exactly
what it was trained on. It reads the text that the policy wrote (`episode.text`) and how it ended, and changes nothing.
Each one says what it measures, in which range, and how it can be cheated: a reward without a counterweight is.

Some measure what is not wanted (`Repetition`, `Copying`, `word_heap`): give those a negative weight.

`GroupReward` marks a function that scores all the episodes of a task at once; `from_trl` takes TRL's reward functions.
Models come in as callables, so nothing here imports torch or transformers.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from strop.rewards.fluency import Fluency
    from strop.rewards.group import GroupReward
    from strop.rewards.length import WordLimit, finished
    from strop.rewards.number import correct_number, last_number
    from strop.rewards.prose import word_heap
    from strop.rewards.repetition import Copying, Repetition
    from strop.rewards.sentiment import HappyEnd
    from strop.rewards.similarity import Similarity
    from strop.rewards.trl import from_trl
    from strop.rewards.words import uses_words

_HOME = {
    "Fluency": "fluency",
    "GroupReward": "group",
    "HappyEnd": "sentiment",
    "Copying": "repetition",
    "Repetition": "repetition",
    "Similarity": "similarity",
    "WordLimit": "length",
    "correct_number": "number",
    "finished": "length",
    "from_trl": "trl",
    "last_number": "number",
    "word_heap": "prose",
    "uses_words": "words",
}

__all__ = [
    "Copying",
    "Fluency",
    "GroupReward",
    "HappyEnd",
    "Repetition",
    "Similarity",
    "WordLimit",
    "correct_number",
    "finished",
    "from_trl",
    "last_number",
    "uses_words",
    "word_heap",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return __all__
