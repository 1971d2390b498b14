"""What a reward says of an episode becomes a Part; what it raises becomes Unscored with the traceback.

Rewards run one at a time and in order, because they may draw from global generators, and in a thread of their own,
because the wait for one that hangs has to end.
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
from strop.rollout.waiting import in_order
from strop.types import End, Episode, NonFinite, Part, PerToken, PerTurn, RewardFn, Unscored, as_number, returned, total

Outcome: TypeAlias = "float | Unscored | PerTurn | PerToken"

_BOUND_TO_A_THREAD = re.compile("main thread|in that same thread|event loop in thread")


def trace(error: BaseException) -> str:
    """The traceback as text, for a record."""
    return "".join(traceback.format_exception(error)).strip()


@dataclass(frozen=True, slots=True)
class _Question:
    """One call of one reward: an episode, or all those of a group."""

    name: str
    weight: float
    reward: RewardFn | GroupReward
    episodes: Sequence[Episode]

    def ask(self) -> list[Outcome]:
        """The reward's word on each episode. It runs in the rewards' thread."""
        task = self.episodes[0].task
        if isinstance(self.reward, GroupReward):
            outcomes: Sequence[object] = self.reward(task, self.episodes)
        else:
            outcomes = [self.reward(task, self.episodes[0])]
        return [_settled(self.name, *pair) for pair in zip(outcomes, self.episodes, strict=True)]


def score(rewards: Rewards, groups: Sequence[Sequence[Episode]], seconds: float) -> list[Episode]:
    """All groups' episodes with a Part for every reward. A FAILED episode is not judged.

    Each call has `seconds`. Raises NonFinite for a number, or a sum of numbers, that is none.
    """
    questions = [question for group in groups for question in _questions(rewards, group)]
    names = [f"reward {question.name!r}" for question in questions]
    answers = in_order([question.ask for question in questions], seconds, names)
    parts: dict[str, dict[str, Part]] = {episode.id: {} for group in groups for episode in group}
    for question, answer in zip(questions, answers, strict=True):
        if isinstance(answer, BaseException):
            answer = [Unscored(_reason(question.name, answer))] * len(question.episodes)
        for episode, outcome in zip(question.episodes, answer, strict=True):
            parts[episode.id][question.name] = _part(question, outcome, episode)
    return [_summed(replace(episode, parts=parts[episode.id])) for group in groups for episode in group]


def _questions(rewards: Rewards, group: Sequence[Episode]) -> list[_Question]:
    judged = [episode for episode in group if episode.end is not End.FAILED]
    return [
        _Question(name, weight, reward, episodes)
        for name, (reward, weight) in rewards.items()
        for episodes in ([judged] if isinstance(reward, GroupReward) else [[episode] for episode in judged])
        if episodes
    ]


def _settled(name: str, outcome: object, episode: Episode) -> Outcome:
    """The outcome in plain floats; one of a wrong type or length is the reward's mistake, and says so."""
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
    place, expected = ("turn", len(episode.turns)) if kind is PerTurn else ("token", episode.num_actions)
    if len(values) != expected:
        return Unscored(
            f"{name} gave {kind.__name__} with {len(values)} numbers for {expected} {place}s: it holds one for each"
        )
    numbers: list[float] = []
    for value in values:
        number = as_number(value)
        if number is None:
            return Unscored(f"{name} gave {kind.__name__} with {returned(value)} in it: each is a number")
        numbers.append(number)
    return kind(tuple(numbers))


def _part(question: _Question, outcome: Outcome, episode: Episode) -> Part:
    if isinstance(outcome, Unscored):
        return Part(question.weight, outcome)
    if isinstance(outcome, PerTurn | PerToken):
        numbers = tuple(outcome.rewards)
        turns, tokens = (numbers, None) if isinstance(outcome, PerTurn) else (None, numbers)
        return Part(question.weight, _finite(question.name, total(numbers), episode), turns, tokens)
    return Part(question.weight, _finite(question.name, outcome, episode))


def _finite(name: str, value: float, episode: Episode) -> float:
    if not math.isfinite(value):
        raise NonFinite(
            f"reward {name!r} of task {episode.task.id} is {value}, for the text {episode.text!r}; it",
            episode,
            "Let the reward return a finite number, or strop.Unscored(reason), then go on.",
        )
    return value


def _summed(episode: Episode) -> Episode:
    """The episode, whose numbers are finite and may add up to more than any float."""
    reward = episode.reward
    if not isinstance(reward, Unscored) and not math.isfinite(reward):
        raise NonFinite(f"the sum of the rewards of task {episode.task.id} is {reward}; it", episode)
    return episode


def _reason(name: str, error: BaseException) -> str:
    """Why there is no score. The last line is the one that a run repeats in its warnings."""
    if not _BOUND_TO_A_THREAD.search(str(error)):
        return trace(error)
    return (
        f"{trace(error)}\n"
        f"{name} needs the main thread ({error}): rewards run in a thread of their own, so that reward_seconds can end "
        "the wait for one. Take signals out (reward_seconds is the time limit), and open what belongs to a thread "
        "inside the reward"
    )
