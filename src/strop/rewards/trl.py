"""TRL's reward functions: `f(prompts, completions, **columns) -> list[float | None]`."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from strop.rewards.group import GroupReward
from strop.types import Episode, Task, Unscored, as_number, returned, shown

_OWN_NAMES = ("prompts", "completions", "completion_ids", "answer")


def from_trl(function: Callable[..., Sequence[float | None]]) -> GroupReward:
    """A reward function written for TRL, as a reward of strop.

    It is called once a group, so every prompt of a call is the same. A prompt that is a text comes with completions
    that are texts; a prompt of messages with completions of one assistant message each. The columns are the fields of
    `Task.data`, `answer` (where the task has one) and `completion_ids`, each a list as long as the group. As in TRL the
    function takes what it does not use in `**kwargs`, and returns None for what it cannot score: that is Unscored.
    """
    return GroupReward(FromTRL(function))


@dataclass(frozen=True, slots=True)
class FromTRL:
    """What `from_trl` wraps: a named record, so that a run's config can be written down."""

    function: Callable[..., Sequence[float | None]]

    def __post_init__(self) -> None:
        if not callable(self.function):
            raise ValueError(f"from_trl({shown(self.function)}): give a function (prompts, completions, **columns).")

    @property
    def __name__(self) -> str:
        """What a run calls this reward."""
        return getattr(self.function, "__name__", type(self.function).__name__)

    def __call__(self, task: Task, episodes: Sequence[Episode]) -> list[float | Unscored]:
        scores: object = self.function(**self.arguments(task, episodes))
        if not isinstance(scores, Iterable):
            raise ValueError(f"the TRL reward {self.__name__} returned {returned(scores)}: it returns a list.")
        return [
            Unscored(f"{self.__name__} returned None") if score is None else _number(self.__name__, score)
            for score in scores
        ]

    def arguments(self, task: Task, episodes: Sequence[Episode]) -> dict[str, Any]:
        """What the function is called with, by name."""
        return {
            "prompts": [task.prompt] * len(episodes),
            "completions": [_completion(task, episode) for episode in episodes],
            "completion_ids": [_ids(episode) for episode in episodes],
            **_columns(task, len(episodes)),
        }


def _completion(task: Task, episode: Episode) -> str | list[dict[str, str]]:
    """A completion in the shape of its prompt."""
    if isinstance(task.prompt, str):
        return episode.text
    return [{"role": "assistant", "content": episode.text}]


def _ids(episode: Episode) -> list[int]:
    """The tokens that the policy wrote, over all turns."""
    return [token for turn in episode.turns for token in turn.completion.tokens]


def _columns(task: Task, num_episodes: int) -> dict[str, list[Any]]:
    """The facts of the task, once an episode."""
    taken = sorted(set(task.data) & set(_OWN_NAMES))
    if taken:
        raise ValueError(f"task {task.id!r}: the fields {', '.join(taken)} are names that TRL rewards get from strop.")
    columns = {name: [value] * num_episodes for name, value in task.data.items()}
    return columns | ({"answer": [task.answer] * num_episodes} if task.answer else {})


def _number(name: str, score: object) -> float:
    """A plain float: torch and numpy scalars would not go into a run."""
    value = as_number(score)
    if value is None or math.isinf(value):
        raise ValueError(f"the TRL reward {name} returned {shown(score)}: a reward is a finite number or None.")
    return value
