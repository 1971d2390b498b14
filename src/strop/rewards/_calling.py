"""Check, before a run starts, that its rewards can be called with the arguments they will get."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from strop.rewards._naming import Rewards
from strop.rewards.group import GroupReward
from strop.rewards.trl import FromTRL
from strop.types import Task


def refuse_uncallable(rewards: Rewards, tasks: Sequence[Task], what: str) -> None:
    """Raise ValueError for the first reward whose signature does not fit its arguments."""
    for name, (reward, _) in rewards.items():
        place = f"{what}[{name!r}]"
        if isinstance(reward, type):
            raise ValueError(f"{place} is the class {reward.__name__}: make one of it, {reward.__name__}(...).")
        if not isinstance(reward, GroupReward):
            _refuse(place, reward, ("task", "episode"), {})
        elif not isinstance(reward.score, FromTRL):
            _refuse(place, reward.score, ("task", "episodes"), {})
        else:
            for task in {frozenset(task.data) | {bool(task.answer)}: task for task in tasks}.values():
                _refuse(place, reward.score.function, (), reward.score.arguments(task, ()))


def _refuse(place: str, function: Callable[..., Any], given: tuple[str, ...], named: Mapping[str, Any]) -> None:
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # some builtins have no signature
        return
    try:
        signature.bind(*given, **named)
    except TypeError as error:
        call = ", ".join([*given, *(f"{name}=..." for name in named)])
        advice = " What it does not use, it takes in **kwargs." if named else ""
        raise ValueError(f"{place} is called with ({call}), and takes {signature}: {error}.{advice}") from None
