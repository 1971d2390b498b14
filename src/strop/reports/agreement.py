"""Does a reward agree with a known ranking? And does a judge like a place more than an answer?

A ranking comes as pairs of answers of which one is known to be better, as preference data has them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from strop.evaluate import interval
from strop.intervals import Interval, change_of_proportion
from strop.reports.scripted import played, scene_of
from strop.rewards._orders import Orders
from strop.rewards.group import GroupReward
from strop.rewards.pairwise import Pairwise
from strop.types import Episode, Task, Unscored
from strop.words import last_line, plural

if TYPE_CHECKING:
    from strop.config import TrainConfig

ROUNDING = 1e-9
PURPOSE = "agreement"
"""Of the random streams."""
WHOLE = "reward"
"""The name of the weighted sum."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """How often a reward scores the better answer of a pair higher.

    `share` is the mean of 1 where it does, 1/2 where both score the same and 0 else, over the pairs with two scores.
    `reason` is why the first pair without them has none.
    """

    name: str
    right: int
    tied: int
    wrong: int
    unscored: int
    share: Interval
    reason: str = ""


@dataclass(frozen=True, slots=True)
class PlaceBias:
    """What a judge that compares does with the place of an answer, over the pairs that it judged in both orders.

    same    pairs on which both orders agree: one answer wins, or neither
    first   pairs on which it chose whichever stood first, in both orders
    second  the same of what stood second
    other   pairs of which only one order is a tie
    bias    the share of `first` less that of `second`: 0 for a judge without a leaning, 1 if it always takes the first
    """

    name: str
    same: int
    first: int
    second: int
    other: int
    unscored: int
    bias: Interval


@dataclass(frozen=True, slots=True)
class Agreements:
    """The agreement of the weighted sum and of each part, and the place bias of each part that compares."""

    pairs: int
    rewards: list[Agreement]
    places: list[PlaceBias]
    is_shown: bool
    """Whether the lower limit of the sum's agreement is above one half."""
    verdict: str


def agreement(config: TrainConfig, pairs: Sequence[Task]) -> Agreements:
    """Score both answers of each pair by the rewards of a resolved config; which one comes first is drawn by its seed.

    `pairs` hold a chosen and a rejected answer. No policy is loaded. Raises ValueError without a reward or a pair.
    """
    from strop.data.preferences import answers
    from strop.streams import stream

    scene = scene_of(config, gold=False)
    if not scene.rewards:
        raise ValueError("there is no reward to compare with a ranking: rewards=[...] is empty.")
    if not pairs:
        raise ValueError("there is no pair to compare a reward with.")
    found: dict[str, list[float | Unscored]] = {name: [] for name in (WHOLE, *scene.rewards)}
    for i, task in enumerate(pairs):
        order = stream(config.seed, PURPOSE, i).permutation(2)
        texts = [text for text, _ in answers(task).values()]  # the better one first
        scored = played(scene, task, [texts[place] for place in order])
        better, worse = (scored[list(order).index(place)] for place in (0, 1))
        found[WHOLE].append(_outcome(better.reward, worse.reward))
        for name in scene.rewards:
            found[name].append(_outcome(_score(better, name), _score(worse, name)))
    rewards = [_agreement(name, outcomes) for name, outcomes in found.items()]
    places = [
        _place_bias(name, reward.score, pairs)
        for name, (reward, _) in scene.rewards.items()
        if isinstance(reward, GroupReward) and isinstance(reward.score, Pairwise)
    ]
    is_shown = rewards[0].share.low > 0.5
    return Agreements(len(pairs), rewards, places, is_shown, _verdict(rewards[0], is_shown))


def _score(episode: Episode, name: str) -> float | Unscored:
    """Of one part, with the sign of its weight: less of a penalty is better."""
    if name not in episode.parts:
        return Unscored(episode.error or "the episode failed")
    part = episode.parts[name]
    if isinstance(part.total, Unscored):
        return part.total
    return -part.total if part.weight < 0.0 else part.total


def _outcome(better: float | Unscored, worse: float | Unscored) -> float | Unscored:
    """1 if the better answer scores more, 1/2 for the same, else 0."""
    for score in (better, worse):
        if isinstance(score, Unscored):
            return score
    assert not isinstance(better, Unscored)
    assert not isinstance(worse, Unscored)
    if math.isclose(better, worse, rel_tol=ROUNDING, abs_tol=ROUNDING):
        return 0.5
    return float(better > worse)


def _agreement(name: str, outcomes: Sequence[float | Unscored]) -> Agreement:
    scored = [one for one in outcomes if not isinstance(one, Unscored)]
    reasons = [last_line(one.reason) for one in outcomes if isinstance(one, Unscored)]
    right, tied, wrong = (scored.count(value) for value in (1.0, 0.5, 0.0))
    return Agreement(name, right, tied, wrong, len(reasons), interval(scored), reasons[0] if reasons else "")


def _place_bias(name: str, reward: Pairwise, pairs: Sequence[Task]) -> PlaceBias:
    """Of a judge that compares: it is asked about each pair in both orders, where its replies are not kept already."""
    from strop.data.preferences import answers

    judged = list[Orders]()
    for task in pairs:
        (chosen, _), (rejected, _) = answers(task).values()
        judged += [one for one in reward.compared(task, [(chosen, rejected)]) if isinstance(one, Orders)]
    first, second = (sum(one.first == one.swapped == place for one in judged) for place in "AB")
    same = sum(one.score != 0.5 or one.first == one.swapped == "tie" for one in judged)
    n = len(judged)
    low, high = change_of_proportion(first, second, n) if n else (math.nan, math.nan)
    bias = Interval((first - second) / n if n else math.nan, low, high, "" if n else "nothing was judged")
    return PlaceBias(name, same, first, second, n - same - first - second, len(pairs) - n, bias)


def _verdict(whole: Agreement, is_shown: bool) -> str:
    scored = whole.right + whole.tied + whole.wrong
    if not scored:
        return f"Nothing could be compared: {whole.reason}."
    agrees = f"It agrees with the ranking on {whole.share} of {plural(scored, 'pair')}, a tie as half"
    if is_shown:
        return f"{agrees}: better than tossing a coin."
    return f"{agrees}: this does not show that it is better than tossing a coin."
