"""What a config may say of its rewards, and each reward's name and weight."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from strop.rewards._scoring import Rewards
from strop.rewards.group import GroupReward
from strop.types import RewardFn

RewardLike: TypeAlias = "RewardFn | GroupReward | tuple[RewardFn | GroupReward, float]"
RewardSet: TypeAlias = "Sequence[RewardFn | GroupReward] | Mapping[str, RewardLike]"
TAKEN = ("accuracy", "gold", "logit", "mean", "reward", "std", "tokens", "unscored")
"""Names that the run's own metrics have under reward/ and held_out/."""


def named_rewards(rewards: RewardSet, what: str) -> Rewards:
    """Each reward with a name and a weight. A list takes the functions' own names, with weight 1."""
    if not isinstance(rewards, Mapping):
        rewards = _by_name(rewards, what)
    named: dict[str, tuple[Any, float]] = {}
    for name, reward in rewards.items():
        function, weight = reward if isinstance(reward, tuple | list) else (reward, 1.0)
        if name in TAKEN or "/" in name:
            raise ValueError(
                f"{what} holds the name {name!r}: choose one without a slash that is not {', '.join(TAKEN)}."
            )
        if not callable(function):
            raise ValueError(f"{what}[{name!r}] is {function!r}: it must be a function (task, episode) -> float.")
        if not math.isfinite(weight):
            raise ValueError(f"{what}[{name!r}] has the weight {weight}: it must be a finite number.")
        named[name] = (function, float(weight))
    return named


def _by_name(rewards: Sequence[RewardFn | GroupReward], what: str) -> dict[str, RewardFn | GroupReward]:
    named: dict[str, RewardFn | GroupReward] = {}
    for reward in rewards:
        name = _name_of(reward)
        if name in named:
            raise ValueError(f"{what} holds two rewards called {name!r}: give names, {what}={{'a': ..., 'b': ...}}.")
        named[name] = reward
    return named


def _name_of(reward: Callable[..., Any]) -> str:
    """A function's own name; of an object, its class's."""
    inner = reward.score if isinstance(reward, GroupReward) else reward
    return getattr(inner, "__name__", type(inner).__name__).strip("<>").lower()
