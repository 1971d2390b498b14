"""Advantages and weights of each policy-gradient method, by the standard library."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from math import fsum

from strop.types import Source
from strop.verify.awkward import Story
from strop.verify.slow_gradients import Lists, Opinion, Opinions

Share = Callable[[Sequence[Story], list[float]], Lists]
"""(stories, their weights) -> the weight of every act."""


def sequence_mean(some: Sequence[Story], weights: list[float]) -> Lists:
    """The mean over answers of the mean over their acts."""
    count = sum(weight > 0 for weight in weights)
    return [[w / count / len(s.acts)] * len(s.acts) if s.acts else [] for s, w in zip(some, weights, strict=True)]


def sequence_sum(some: Sequence[Story], weights: list[float]) -> Lists:
    """The sum over acts, divided by the number of answers."""
    count = sum(weight > 0 for weight in weights)
    return [[w / count] * len(s.acts) for s, w in zip(some, weights, strict=True)]


def token_mean(some: Sequence[Story], weights: list[float]) -> Lists:
    """The mean over all acts."""
    count = sum(len(s.acts) for s, weight in zip(some, weights, strict=True) if weight > 0)
    return [[w / max(count, 1)] * len(s.acts) for s, w in zip(some, weights, strict=True)]


def over(length: int) -> Share:
    """`sequence_sum` divided by a constant length."""
    return lambda some, weights: [[w / length for w in one] for one in sequence_sum(some, weights)]


def weights_of(some: Sequence[Story]) -> list[float]:
    """Each story's own."""
    return [story.weight for story in some]


def group_of(some: Sequence[Story], story: Story, numbers: Sequence[float | None]) -> list[float]:
    """The numbers of the scored members of a story's group."""
    both = zip(some, numbers, strict=True)
    return [x for other, x in both if other.group == story.group and other.total is not None and x is not None]


def centred(some: Sequence[Story], numbers: Sequence[float | None]) -> list[float]:
    """Minus the mean of the group; 0 for Unscored stories."""
    return [
        0.0 if number is None or story.total is None else number - statistics.fmean(group_of(some, story, numbers))
        for story, number in zip(some, numbers, strict=True)
    ]


def normalised(some: Sequence[Story], numbers: Sequence[float | None]) -> list[float]:
    """Centred, over the standard deviation of the group (by n - 1) + 1e-4; 0 where all are equal."""
    found = []
    for story, number, middle in zip(some, numbers, centred(some, numbers), strict=True):
        group = group_of(some, story, numbers)
        tells = number is not None and len(set(group)) > 1
        found.append(middle / (statistics.stdev(group) + 1e-4) if tells else 0.0)
    return found


def over_acts(some: Sequence[Story], numbers: Sequence[float]) -> Lists:
    """Each story's number, for each of its acts."""
    return [[number] * len(story.acts) for story, number in zip(some, numbers, strict=True)]


def returns(some: Sequence[Story]) -> list[float | None]:
    """The total reward, None where Unscored."""
    return [story.total for story in some]


def after_penalty(some: Sequence[Story], penalty: Lists) -> list[float | None]:
    """The total reward minus the penalties of all acts."""
    return [None if s.total is None else s.total - fsum(p) for s, p in zip(some, penalty, strict=True)]


def of_groups(share: Share) -> Opinions:
    """GRPO and its kin: normalised returns, minus the centred penalty."""

    def opinion(some: Sequence[Story], penalty: Lists) -> Opinion:
        pulled = centred(some, [fsum(one) for one in penalty])
        numbers = [a - p for a, p in zip(normalised(some, returns(some)), pulled, strict=True)]
        return Opinion(over_acts(some, numbers), share(some, weights_of(some)), weights_of(some))

    return opinion


def of_centred(length: int) -> Opinions:
    """Dr. GRPO: returns minus the group's mean, over a constant length."""

    def opinion(some: Sequence[Story], penalty: Lists) -> Opinion:
        numbers = centred(some, after_penalty(some, penalty))
        return Opinion(over_acts(some, numbers), over(length)(some, weights_of(some)), weights_of(some))

    return opinion


def of_others(some: Sequence[Story], penalty: Lists) -> Opinion:
    """RLOO: the return minus the mean of the other members'."""
    paid, numbers = after_penalty(some, penalty), []
    for story, own in zip(some, paid, strict=True):
        group = group_of(some, story, paid)
        tells = own is not None and len(group) > 1
        numbers.append(own - (fsum(group) - own) / (len(group) - 1) if tells and own is not None else 0.0)
    return Opinion(over_acts(some, numbers), sequence_sum(some, weights_of(some)), weights_of(some))


def to_go(rewards: Sequence[float], discount: float) -> list[float]:
    """sum_k discount^k r_{t+k}, from every act."""
    return [fsum(discount**k * r for k, r in enumerate(rewards[t:])) for t in range(len(rewards))]


def returns_to_go(some: Sequence[Story], penalty: Lists, discount: float) -> Lists:
    """Returns to go of every story, of rewards minus penalties."""
    return [
        to_go([act.reward - p for act, p in zip(story.acts, one, strict=True)], discount)
        for story, one in zip(some, penalty, strict=True)
    ]


def of_returns(discount: float, decay: float | None, discounts_state: bool) -> tuple[Opinions, list[float]]:
    """REINFORCE: returns to go minus a running mean, and the list of these means, which grows by one per call."""
    baselines = [0.0]

    def opinion(some: Sequence[Story], penalty: Lists) -> Opinion:
        gains, base = returns_to_go(some, penalty, discount), baselines[-1]
        advantages = [
            [(gain - base) * (discount**t if discounts_state else 1.0) for t, gain in enumerate(one)] for one in gains
        ]
        seen = [gain for story, one in zip(some, gains, strict=True) if story.weight > 0 for gain in one]
        baselines.append(base if decay is None else decay * base + (1 - decay) * statistics.fmean(seen))
        return Opinion(advantages, sequence_sum(some, weights_of(some)), weights_of(some))

    return opinion, baselines


def of_batch(discount: float, takes_group: bool) -> Opinions:
    """REINFORCE++: returns to go, whitened over all acts that are scored."""

    def opinion(some: Sequence[Story], penalty: Lists) -> Opinion:
        gains, paid = returns_to_go(some, penalty, discount), after_penalty(some, penalty)
        if takes_group:
            means = [statistics.fmean(group_of(some, s, paid)) if s.total is not None else 0.0 for s in some]
            gains = [[gain - middle for gain in one] for one, middle in zip(gains, means, strict=True)]
        seen = [gain for story, one in zip(some, gains, strict=True) if story.weight > 0 for gain in one]
        middle, spread = statistics.fmean(seen), statistics.pstdev(seen)
        white = [[(gain - middle) / (spread + 1e-8) for gain in one] for one in gains]
        return Opinion(white, token_mean(some, weights_of(some)), weights_of(some))

    return opinion


def of_greedy(some: Sequence[Story], penalty: Lists) -> Opinion:
    """ReMax: the return minus the greedy answer's, which has no loss; a group without one teaches nothing."""
    base = {story.group: story.total for story in some if story.source is Source.GREEDY}
    weights = [0.0 if s.source is Source.GREEDY or base[s.group] is None else s.weight for s in some]
    numbers = [
        (story.total or 0.0) - fsum(one) - (base[story.group] or 0.0) if weight > 0 else 0.0
        for story, one, weight in zip(some, penalty, weights, strict=True)
    ]
    return Opinion(over_acts(some, numbers), sequence_sum(some, weights), weights)


def kept(some: Sequence[Story], best: int, threshold: float | None) -> list[bool]:
    """Which stories are among the best of their group, ties included, and above the threshold."""
    found = []
    for story in some:
        better = [x for x in group_of(some, story, returns(some)) if story.total is not None and x > story.total]
        reaches = story.total is not None and (threshold is None or story.total > threshold)
        found.append(reaches and len(better) < best)
    return found


def of_best(best: int, threshold: float | None) -> Opinions:
    """Rejection sampling: a mean over the acts of what is kept."""

    def opinion(some: Sequence[Story], penalty: Lists) -> Opinion:
        stay = kept(some, best, threshold)
        weights = [story.weight if one else 0.0 for story, one in zip(some, stay, strict=True)]
        return Opinion(over_acts(some, [float(one) for one in stay]), token_mean(some, weights), weights_of(some))

    return opinion


def of_signal(longest: int, cache: int, masks: bool) -> Opinions:
    """DAPO: normalised returns of groups that differ, a penalty on long answers, cut answers out of the loss."""

    def opinion(some: Sequence[Story], penalty: Lists) -> Opinion:
        lengths = [len(story.acts) for story in some]
        soft = [min(max((longest - cache - n) / cache, -1.0), 0.0) if cache else 0.0 for n in lengths]
        paid = [None if s.total is None else s.total + p for s, p in zip(some, soft, strict=True)]
        differ = [len(set(group_of(some, story, returns(some)))) > 1 for story in some]
        weights = [s.weight if d and not (masks and s.is_cut) else 0.0 for s, d in zip(some, differ, strict=True)]
        numbers = [a if w > 0 else 0.0 for a, w in zip(normalised(some, paid), weights, strict=True)]
        return Opinion(over_acts(some, numbers), token_mean(some, weights), weights)

    return opinion
