"""Score episodes: a reward's result becomes a Part; an exception becomes Unscored with its traceback.

Rewards run one at a time and in order, because they may draw from global random generators, and in a separate thread,
so that waiting for one that hangs can end.
"""

from __future__ import annotations

import math
import re
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from strop.rewards._naming import Rewards
from strop.rewards.group import GroupReward
from strop.rollout.waiting import run_in_order
from strop.types import End, Episode, NonFinite, Part, PerToken, PerTurn, RewardFn, Unscored, as_number, returned, total

Outcome: TypeAlias = "float | Unscored | PerTurn | PerToken"

_BOUND_TO_A_THREAD = re.compile("main thread|in that same thread|event loop in thread")


def trace(error: BaseException) -> str:
    """The traceback as text, for a record."""
    return "".join(traceback.format_exception(error)).strip()


@dataclass(frozen=True, slots=True)
class _RewardCall:
    """One call of one reward: an episode, or all those of a group."""

    name: str
    weight: float
    reward: RewardFn | GroupReward
    episodes: Sequence[Episode]

    def run(self) -> list[Outcome]:
        """The result for each episode. Runs in the rewards' thread."""
        task = self.episodes[0].task
        if isinstance(self.reward, GroupReward):
            outcomes: Sequence[object] = self.reward(task, self.episodes)
        else:
            outcomes = [self.reward(task, self.episodes[0])]
        return [_checked(self.name, *pair) for pair in zip(outcomes, self.episodes, strict=True)]


def score(rewards: Rewards, groups: Sequence[Sequence[Episode]], seconds: float) -> list[Episode]:
    """The episodes of all groups with a Part for every reward. FAILED episodes are not scored.

    Each call may take `seconds`. Raises NonFinite for a reward, or a sum of rewards, that is NaN or infinite.
    """
    calls = [call for group in groups for call in _calls(rewards, group)]
    names = [f"reward {call.name!r}" for call in calls]
    results = run_in_order([call.run for call in calls], seconds, names)
    parts: dict[str, dict[str, Part]] = {episode.id: {} for group in groups for episode in group}
    for call, result in zip(calls, results, strict=True):
        if isinstance(result, BaseException):
            result = [Unscored(_reason(call.name, result))] * len(call.episodes)
        for episode, outcome in zip(call.episodes, result, strict=True):
            parts[episode.id][call.name] = _part(call, outcome, episode)
    return [_with_finite_sum(replace(episode, parts=parts[episode.id])) for group in groups for episode in group]


def _calls(rewards: Rewards, group: Sequence[Episode]) -> list[_RewardCall]:
    scored = [episode for episode in group if episode.end is not End.FAILED]
    return [
        _RewardCall(name, weight, reward, episodes)
        for name, (reward, weight) in rewards.items()
        for episodes in ([scored] if isinstance(reward, GroupReward) else [[episode] for episode in scored])
        if episodes
    ]


def _checked(name: str, outcome: object, episode: Episode) -> Outcome:
    """The outcome in plain floats; one of a wrong type or length becomes Unscored with that reason."""
    if isinstance(outcome, Unscored):
        return outcome
    if isinstance(outcome, PerTurn | PerToken):
        return _dense(name, outcome, episode)
    number = as_number(outcome)
    if number is not None:
        return number
    return Unscored(
        f"{name} returned {returned(outcome)}: a reward returns a number, strop.Unscored(reason), "
        "strop.PerTurn([...]) or strop.PerToken([...])"
    )


def _dense(name: str, outcome: PerTurn | PerToken, episode: Episode) -> Outcome:
    kind, values = type(outcome), list(outcome.rewards)
    unit, expected = ("turn", len(episode.turns)) if kind is PerTurn else ("token", episode.num_actions)
    if len(values) != expected:
        return Unscored(
            f"{name} gave {kind.__name__} with {len(values)} numbers for {expected} {unit}s: it holds one for each"
        )
    numbers: list[float] = []
    for value in values:
        number = as_number(value)
        if number is None:
            return Unscored(f"{name} gave {kind.__name__} with {returned(value)} in it: each is a number")
        numbers.append(number)
    return kind(tuple(numbers))


def _part(call: _RewardCall, outcome: Outcome, episode: Episode) -> Part:
    if isinstance(outcome, Unscored):
        return Part(call.weight, outcome)
    if isinstance(outcome, PerTurn | PerToken):
        numbers = tuple(outcome.rewards)
        turns, tokens = (numbers, None) if isinstance(outcome, PerTurn) else (None, numbers)
        return Part(call.weight, _finite(call.name, total(numbers), episode), turns, tokens)
    return Part(call.weight, _finite(call.name, outcome, episode))


def _finite(name: str, value: float, episode: Episode) -> float:
    if not math.isfinite(value):
        raise NonFinite(
            f"reward {name!r} of task {episode.task.id} is {value}, for the text {episode.text!r}; it",
            episode,
            "Let the reward return a finite number, or strop.Unscored(reason), then go on.",
        )
    return value


def _with_finite_sum(episode: Episode) -> Episode:
    """The episode. Raises NonFinite if its rewards, each finite, add up to infinity."""
    reward = episode.reward
    if not isinstance(reward, Unscored) and not math.isfinite(reward):
        raise NonFinite(f"the sum of the rewards of task {episode.task.id} is {reward}; it", episode)
    return episode


def _reason(name: str, error: BaseException) -> str:
    """Why there is no score. A run's warnings quote the last line."""
    if not _BOUND_TO_A_THREAD.search(str(error)):
        return trace(error)
    return (
        f"{trace(error)}\n"
        f"{name} needs the main thread ({error}): rewards run in a thread of their own, so that reward_seconds can end "
        "the wait for one. Take signals out (reward_seconds is the time limit), and open what belongs to a thread "
        "inside the reward"
    )
