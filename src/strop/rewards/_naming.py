"""The forms in which a config may give its rewards, and the name and weight of each."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeAlias

from strop.rewards.group import GroupReward
from strop.types import RewardFn, as_number, shown

RewardLike: TypeAlias = "RewardFn | GroupReward | tuple[RewardFn | GroupReward, float]"
RewardSet: TypeAlias = "Sequence[RewardFn | GroupReward] | Mapping[str, RewardLike]"
Rewards: TypeAlias = "Mapping[str, tuple[RewardFn | GroupReward, float]]"
"""Each reward's name, function and weight; weight 0 is reported only."""
RESERVED = ("accuracy", "gold", "logit", "mean", "reward", "std", "tokens", "unscored")
"""Names that the run's own metrics use under reward/ and held_out/."""


def named_rewards(rewards: RewardSet, what: str) -> Rewards:
    """Each reward with a name and a weight. Rewards of a list get their functions' names, and weight 1."""
    if isinstance(rewards, Mapping):
        return {_checked_name(name, what): _weighted(name, reward, what) for name, reward in rewards.items()}
    if isinstance(rewards, str) or not isinstance(rewards, Sequence):
        raise ValueError(
            f"{what}={shown(rewards)}: it is a list, {what}=[function], or a dict, {what}={{'name': function}}."
        )
    return {name: (reward, 1.0) for name, reward in _by_name(rewards, what).items()}


def _checked_name(name: object, what: str) -> str:
    if not isinstance(name, str) or not name.strip() or "/" in name or name in RESERVED:
        raise ValueError(
            f"{what} holds the name {name!r}: give {what}={{name: function}} with a name that is a text without a "
            f"slash, and not {', '.join(RESERVED)}."
        )
    return name


def _weighted(name: str, reward: object, what: str) -> tuple[Any, float]:
    """A function, or a pair of it and its weight."""
    if isinstance(reward, tuple | list) and len(reward) != 2:
        raise ValueError(f"{what}[{name!r}] is {shown(reward)}: it is a function, or a pair (function, weight).")
    function, given = reward if isinstance(reward, tuple | list) else (reward, 1.0)
    _check_function(f"{what}[{name!r}]", function)
    weight = as_number(given)
    if weight is None or not math.isfinite(weight):
        raise ValueError(f"{what}[{name!r}] has the weight {shown(given)}: it must be a finite number.")
    return function, weight


def _check_function(place: str, function: object) -> None:
    if not callable(function):
        raise ValueError(f"{place} is {shown(function)}: it must be a function (task, episode) -> float.")


def _by_name(rewards: Sequence[RewardFn | GroupReward], what: str) -> dict[str, RewardFn | GroupReward]:
    named: dict[str, RewardFn | GroupReward] = {}
    for i, reward in enumerate(rewards):
        _check_function(f"{what}[{i}]", reward)
        name = _checked_name(_name_of(reward), what)
        if name in named:
            raise ValueError(f"{what} holds two rewards called {name!r}: give names, {what}={{'a': ..., 'b': ...}}.")
        named[name] = reward
    return named


def _name_of(reward: Callable[..., Any]) -> str:
    """A function's own name; of an object, its class's."""
    inner = reward.score if isinstance(reward, GroupReward) else reward
    if isinstance(inner, partial):
        return _name_of(inner.func)
    return getattr(inner, "__name__", type(inner).__name__).strip("<>").lower()
