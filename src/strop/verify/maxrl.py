"""MaxRL: on 0/1 rewards its gradient is that of log P(success), expanded to a finite order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import fsum

import torch
from torch import Tensor

from strop.algorithms.maxrl import MaxRL
from strop.optimizer import AdamW
from strop.types import Episode, Part, Pick, Task
from strop.verify.answers import answered
from strop.verify.awkward import Story, picks
from strop.verify.checks import Gap
from strop.verify.gradient_updates import FRESH, one_case
from strop.verify.learning import share_right
from strop.verify.policy_gradient import EXACT, build, rewards_of
from strop.verify.slow_gradients import Lists, Opinion
from strop.verify.slow_opinions import centred, group_of, over_acts, returns, sequence_sum, weights_of
from strop.verify.slow_terms import plain
from strop.verify.slowly import OPTIMIZER
from strop.verify.tree import Tree, expected_ascent, relative, table_tree


def is_right(tree: Tree) -> list[float]:
    """1 for some of the sequences, 0 for the others."""
    return [float(r > 0) for r in rewards_of(tree)]


def expansion(tree: Tree, rewards: Sequence[float], order: int) -> Tensor:
    """The gradient of -sum_{k=1..order} (1 - p)^k / k, p = P(success): log p where the order is infinite."""
    chance = (tree.probabilities(tree.distributions()) * torch.tensor(rewards, dtype=torch.float64)).sum()
    powers = [(1.0 - chance) ** k / k for k in range(1, order + 1)]
    return tree.gradient(-torch.stack(powers).sum())


def of_the_right(tree: Tree, rewards: Sequence[float], size: int) -> Tensor:
    """The mean score function of the right answers (0 without any), in expectation over every group."""
    score = tree.score()
    total = torch.zeros_like(score[0])
    for probability, members in tree.tuples(size):
        right = [i for i in members if rewards[i] == 1.0]
        for i in right:
            total += probability * score[i] / len(right)
    return total


def check_maxrl() -> Iterator[Gap]:
    """MaxRL: the gradient of log P(success), expanded to order G - 1, over every group."""
    tree = table_tree(2, 3, seed=3)
    rewards = is_right(tree)
    for size in (2, 3, 4, 5):
        got = expected_ascent(tree, build(MaxRL, tree), rewards, size)
        yield Gap(relative(got, expansion(tree, rewards, size - 1)), EXACT, f"G = {size}")


def check_maxrl_successes() -> Iterator[Gap]:
    """MaxRL: the mean score function of the right answers, over every group of G - 1 answers."""
    tree = table_tree(3, 2, seed=2)
    rewards = is_right(tree)
    for size in (2, 3):
        got = expected_ascent(tree, build(MaxRL, tree), rewards, size)
        yield Gap(relative(got, of_the_right(tree, rewards, size - 1)), EXACT, f"G = {size}")


def right_or_wrong() -> list[Pick]:
    """The edge-case episodes with reward 1 where it was above 1/2, and 0 elsewhere."""
    return [replace(pick, episode=_judged(pick.episode)) for pick in picks()]


def _judged(one: Episode) -> Episode:
    if not isinstance(one.reward, float):
        return one
    unpaid = tuple(replace(turn, reward=0.0) for turn in one.turns)
    return replace(one, turns=unpaid, parts={"right": Part(1.0, float(one.reward > 0.5))})


def of_successes(some: Sequence[Story], penalty: Lists) -> Opinion:
    """MaxRL: the return over the share of the group that was right, minus 1, and minus the centred penalty."""
    pulled = centred(some, [fsum(one) for one in penalty])
    numbers = []
    for story, pull in zip(some, pulled, strict=True):
        group = group_of(some, story, returns(some))
        share = fsum(group) / len(group) if group else 0.0
        numbers.append((story.total / share - 1.0 if story.total is not None and share else 0.0) - pull)
    return Opinion(over_acts(some, numbers), sequence_sum(some, weights_of(some)), weights_of(some))


def check_maxrl_updates() -> Iterator[Gap]:
    """MaxRL: a slow reference, two updates on edge-case episodes with 0/1 rewards."""
    for name, rules in FRESH.items():
        config = MaxRL.Config(optimizer=OPTIMIZER, kl=rules.kl, entropy=rules.entropy, correction=rules.correction)
        yield one_case(config, of_successes, plain, rules, name, right_or_wrong())


def all_right(task: Task, episode: Episode) -> float:
    """1 for exactly the wanted answer."""
    return float(share_right(task, episode) == 1.0)


def learn_maxrl(seed: int) -> Gap:
    """MaxRL: both right answers, each with its end token, with probability 1, from 0/1 rewards."""
    return answered(MaxRL.Config(optimizer=AdamW(lr=0.2)), 60, seed, all_right)
