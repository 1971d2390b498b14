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
    """A reward function written for TRL as a strop reward.

    It is called once per group, so all prompts of a call are the same. If the prompt is a text, so are the completions;
    if it is a list of messages, each completion is a list of one assistant message. The columns are the fields of
    `Task.data`, `answer` (where the task has one) and `completion_ids`, each a list as long as the group. As in TRL the
    function takes what it does not use in `**kwargs`, and returns None for what it cannot score, which is Unscored.
    """
    return GroupReward(FromTRL(function))


@dataclass(frozen=True, slots=True)
class FromTRL:
    """The record that `from_trl` makes, so that a run's config can name the function."""

    function: Callable[..., Sequence[float | None]]

    def __post_init__(self) -> None:
        if not callable(self.function):
            raise ValueError(f"from_trl({shown(self.function)}): give a function (prompts, completions, **columns).")

    @property
    def __name__(self) -> str:
        """The name of this reward in a run."""
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
        """The arguments of the function, by name."""
        return {
            "prompts": [task.prompt] * len(episodes),
            "completions": [_completion(task, episode) for episode in episodes],
            "completion_ids": [_ids(episode) for episode in episodes],
            **_columns(task, len(episodes)),
        }


def _completion(task: Task, episode: Episode) -> str | list[dict[str, str]]:
    """The completion in the form of its prompt: a text, or messages."""
    if isinstance(task.prompt, str):
        return episode.text
    return [{"role": "assistant", "content": episode.text}]


def _ids(episode: Episode) -> list[int]:
    """The tokens that the policy wrote, over all turns."""
    return [token for turn in episode.turns for token in turn.completion.tokens]


def _columns(task: Task, num_episodes: int) -> dict[str, list[Any]]:
    """The task's data as columns, with one entry per episode."""
    reserved = sorted(set(task.data) & set(_OWN_NAMES))
    if reserved:
        raise ValueError(f"task {task.id!r}: TRL rewards get {', '.join(reserved)} from strop: rename these fields.")
    columns = {name: [value] * num_episodes for name, value in task.data.items()}
    return columns | ({"answer": [task.answer] * num_episodes} if task.answer else {})


def _number(name: str, score: object) -> float:
    """A plain float: a run cannot store torch and numpy scalars."""
    value = as_number(score)
    if value is None or math.isinf(value):
        raise ValueError(f"the TRL reward {name} returned {shown(score)}: a reward is a finite number or None.")
    return value
