"""GDPO: each reward is normalised in its group, and the weighted sum is whitened over the batch."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import fsum
from typing import Any

import torch
from torch import Tensor

from strop.algorithms.gdpo import GDPO
from strop.algorithms.grpo import GRPO
from strop.batch import collate
from strop.optimizer import AdamW
from strop.types import Batch, Episode, Part, Pick, Task, Unscored
from strop.verify.answers import answered
from strop.verify.awkward import Story, picks
from strop.verify.checks import Gap
from strop.verify.gradient_updates import AGAIN, flagged, one_case
from strop.verify.learning import share_right
from strop.verify.policy_gradient import EXACT, build, normalised, rewards_of, slow_reference
from strop.verify.slow_gradients import Lists, Opinion, Rules
from strop.verify.slow_opinions import centred, over_acts, sequence_mean, weights_of
from strop.verify.slow_terms import by_token, stopped
from strop.verify.slowly import OPTIMIZER
from strop.verify.tree import Tree, ascent, relative, table_tree

Pair = tuple[float, float]
SECOND = 0.3
"""The weight of the second of two rewards; the first one's is 1."""


def two_rewards(tree: Tree) -> list[Pair]:
    """Two rewards of each sequence; the second has larger numbers, and many ties."""
    return [(a, float(round(20 * b))) for a, b in zip(rewards_of(tree, 7), rewards_of(tree, 8), strict=True)]


def paid(tree: Tree, rewards: Sequence[Pair]) -> list[Episode]:
    """An episode for each sequence, with both rewards."""
    some = tree.episodes([0.0] * len(rewards))
    return [
        replace(one, parts={"a": Part(1.0, a), "b": Part(SECOND, b)}) for one, (a, b) in zip(some, rewards, strict=True)
    ]


def white(numbers: Sequence[float]) -> list[float]:
    """Scaled to mean 0 and (population) standard deviation 1."""
    middle, width = statistics.fmean(numbers), statistics.pstdev(numbers)
    return [(number - middle) / (width + 1e-8) for number in numbers]


def one_by_one(group: list[Pair]) -> list[float]:
    """GDPO's advantages where the batch is one group, by the standard library."""
    first, second = normalised([a for a, _ in group]), normalised([b for _, b in group])
    summed = [a + SECOND * b for a, b in zip(first, second, strict=True)]
    return white(summed) if any(summed) else summed


def check_gdpo() -> Iterator[Gap]:
    """GDPO: a slow reference, over every group, with two rewards."""
    tree = table_tree(3, 2, seed=5)
    rewards = two_rewards(tree)
    episodes, algorithm = paid(tree, rewards), build(GDPO, tree)
    for size in (2, 3):
        got = torch.zeros_like(tree.score()[0])
        for probability, members in tree.tuples(size):
            got += probability * ascent(tree, algorithm, [Pick(episodes[i]) for i in members])
        yield Gap(relative(got, slow_reference(tree, rewards, size, one_by_one, by_length=True)), EXACT, f"G = {size}")


def check_gdpo_one_reward() -> Gap:
    """GDPO: with one reward, GRPO's advantages over their standard deviation in the batch."""
    tree = table_tree(3, 2, seed=5)
    rewards = rewards_of(tree)
    batch = collate(
        tuple(Pick(one) for group in (0, 1) for one in tree.episodes(rewards, group)[: 4 + group]), "joined"
    )
    ours, theirs = (_advantages(build(kind, tree), batch) for kind in (GDPO, GRPO))
    return Gap(relative(ours, theirs / statistics.pstdev(theirs.tolist())), 1e-7)  # whitening adds 1e-8 to the std


def _advantages(algorithm: Any, batch: Batch) -> Tensor:
    """One number an episode."""
    advantage_BT: Tensor = algorithm.update(batch).per_token["advantage"]
    return advantage_BT.sum(dim=1) / batch.action_BT.sum(dim=1)


STYLES: tuple[float | Unscored, ...] = (
    0.2, 1.0, -0.3, 0.5, 0.5, Unscored("judge"), 2.0, 0.1, 0.1, 0.0, 0.0, 0.4, 3.0, 3.0, 1.0, Unscored("judge")
)  # fmt: skip
"""The style reward of each edge-case episode."""


def of_two_kinds() -> list[Pick]:
    """The edge-case episodes with a second reward, "style", which is Unscored for some."""
    return [
        replace(pick, episode=replace(one := pick.episode, parts=dict(one.parts) | {"style": Part(1.7, style)}))
        for pick, style in zip(picks(), STYLES, strict=True)
    ]


def of_each_reward(some: Sequence[Story], penalty: Lists) -> Opinion:
    """GDPO: each reward normalised where it is scored, their weighted sum whitened, minus the centred penalty."""
    terms = {i: list[float]() for i in range(len(some))}
    for name in {name for story in some for name in story.gave}:
        for i, story in enumerate(some):
            group = [other.gave[name][0] for other in some if other.group == story.group and name in other.gave]
            if name in story.gave and len(set(group)) > 1:
                number, weight = story.gave[name]
                deviation = (number - statistics.fmean(group)) / (statistics.stdev(group) + 1e-4)
                terms[i].append(weight * deviation)
    sums = [fsum(terms[i]) for i in range(len(some))]
    counted = [total for story, total in zip(some, sums, strict=True) if story.weight > 0]
    middle, width = statistics.fmean(counted), statistics.pstdev(counted)
    pulled = centred(some, [fsum(one) for one in penalty])
    numbers = [
        ((sums[i] - middle) / (width + 1e-8) if terms[i] and story.weight > 0 else 0.0) - pulled[i]
        for i, story in enumerate(some)
    ]
    return Opinion(over_acts(some, numbers), sequence_mean(some, weights_of(some)), weights_of(some))


def check_gdpo_updates() -> Iterator[Gap]:
    """GDPO: a slow reference, two updates on edge-case episodes with several rewards."""
    for name, rules in flagged({"nothing": Rules()} | AGAIN, stopped(0.1, 0.1)).items():
        config = GDPO.Config(
            optimizer=OPTIMIZER, kl=rules.kl, entropy=rules.entropy, correction=rules.correction,
            epochs=rules.epochs, clip=0.1,
        )  # fmt: skip
        yield one_case(config, of_each_reward, by_token(0.1, 0.1), rules, name, of_two_kinds())


def one_word(task: Task, episode: Episode) -> float:
    """0 for one word, and less for none or more: on a larger scale than the share of right words."""
    return -50.0 * abs(len(episode.text.split()) - 1)


def learn_gdpo(seed: int) -> Gap:
    """GDPO: both right answers, each with its end token, with probability 1, with a second reward on a larger scale."""
    return answered(GDPO.Config(optimizer=AdamW(lr=0.2)), 35, seed, share_right, one_word)
