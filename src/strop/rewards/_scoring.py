"""What a reward says of an episode becomes a Part; what it raises becomes Unscored with the traceback."""

from __future__ import annotations

import math
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from numbers import Real
from typing import TypeAlias, TypeVar

from strop.rewards.group import GroupReward
from strop.types import End, Episode, NonFinite, Part, PerToken, PerTurn, RewardFn, Unscored

T = TypeVar("T")
Rewards: TypeAlias = "Mapping[str, tuple[RewardFn | GroupReward, float]]"
"""Each reward's name, function and weight; weight 0 is reported only."""


def trace(error: Exception) -> str:
    """The traceback as text, for a record."""
    return "".join(traceback.format_exception(error)).strip()


def score(rewards: Rewards, group: Sequence[Episode]) -> list[Episode]:
    """The group's episodes with a Part for every reward. A FAILED episode is not judged."""
    judged = [i for i, episode in enumerate(group) if episode.end is not End.FAILED]
    parts: list[dict[str, Part]] = [{} for _ in group]
    for name, (reward, weight) in rewards.items():
        episodes = [group[i] for i in judged]
        for i, outcome in zip(judged, _outcomes(name, reward, episodes), strict=True):
            parts[i][name] = _part(name, weight, outcome, group[i])
    return [replace(episode, parts=part) for episode, part in zip(group, parts, strict=True)]


def _outcomes(name: str, reward: RewardFn | GroupReward, episodes: Sequence[Episode]) -> list[object]:
    """What the reward says of each episode; what it raises becomes Unscored with the traceback."""
    if not isinstance(reward, GroupReward):
        return [_guarded(lambda one=episode: reward(one.task, one)) for episode in episodes]  # type: ignore[misc]
    if not episodes:
        return []
    outcome = _guarded(lambda: reward(episodes[0].task, episodes))
    if isinstance(outcome, Unscored):
        return [outcome] * len(episodes)
    return list(outcome)


def _guarded(call: Callable[[], T]) -> T | Unscored:
    try:
        return call()
    except Exception as error:
        return Unscored(trace(error))


def _part(name: str, weight: float, outcome: object, episode: Episode) -> Part:
    """A reward's outcome as a Part; a wrong type or length is the reward's mistake and says so."""
    if isinstance(outcome, Unscored):
        return Part(weight, outcome)
    if isinstance(outcome, PerTurn | PerToken):
        expected = len(episode.turns) if isinstance(outcome, PerTurn) else episode.num_actions
        numbers = tuple(float(reward) for reward in outcome.rewards)
        if len(numbers) != expected:
            kind = type(outcome).__name__
            raise ValueError(f"reward {name!r} gave {kind} with {len(numbers)} numbers for {expected} of them.")
        total = _finite(name, math.fsum(numbers), episode)
        return Part(weight, total, *((numbers, None) if isinstance(outcome, PerTurn) else (None, numbers)))
    if not isinstance(outcome, Real):
        raise ValueError(
            f"reward {name!r} returned {outcome!r} for task {episode.task.id}: a reward returns a number, "
            "strop.Unscored(reason), strop.PerTurn([...]) or strop.PerToken([...])."
        )
    return Part(weight, _finite(name, float(outcome), episode))


def _finite(name: str, value: float, episode: Episode) -> float:
    if not math.isfinite(value):
        raise NonFinite(
            f"reward {name!r} of task {episode.task.id} is {value}, for the text {episode.text!r}; it",
            episode,
            "Let the reward return a finite number, or strop.Unscored(reason), then go on.",
        )
    return value
