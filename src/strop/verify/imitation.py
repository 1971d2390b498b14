"""Rejection sampling and distillation, against exact expectations."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from strop.algorithms.distillation import Distillation
from strop.algorithms.rejection_sampling import RejectionSampling
from strop.learners.policy_gradient import PolicyGradient
from strop.optimizer import SGD, AdamW
from strop.policies.table import Table
from strop.types import Pick, PolicyConfig, Sampling
from strop.verify.answers import answered, engaged
from strop.verify.checks import Gap
from strop.verify.learning import WANTED, WORDS
from strop.verify.policy_gradient import EXACT, rewards_of
from strop.verify.tree import (
    PROMPT,
    Tree,
    ascent,
    expected_ascent,
    random_weights,
    relative,
    set_weights,
    table_tree,
)


@dataclass(frozen=True)
class Given(PolicyConfig):
    """The Config of a given teacher."""

    teacher: Table

    def build(self, seed: int, dtype: str, device: str = "cpu") -> tuple[Table, Any]:
        return self.teacher, None


def best_of(tree: Tree, rewards: Sequence[float], size: int) -> list[float]:
    """F(y)^n - F(y-)^n: the probability that y is the best of n samples, where no two rewards are equal."""
    probs = tree.probabilities(tree.distributions()).tolist()
    below = [sum(p for p, other in zip(probs, rewards, strict=True) if other < r) for r in rewards]
    return [(f + p) ** size - f**size for f, p in zip(below, probs, strict=True)]


def rejection(tree: Tree, **fields: Any) -> PolicyGradient:
    """The algorithm on the tree's policy, under plain SGD at rate 1."""
    return RejectionSampling.Config(optimizer=SGD(lr=1.0), **fields).build(tree.policy, Sampling(), 4096)


def kept_slow(tree: Tree, rewards: Sequence[float], size: int, best: int, threshold: float) -> Tensor:
    """sum over groups of P(group) * (the scores of the kept answers) / (their tokens), in plain loops."""
    score = tree.score()
    total = torch.zeros_like(score[0])
    for probability, members in tree.tuples(size):
        border = sorted((rewards[i] for i in members), reverse=True)[min(best, size) - 1]
        kept = [i for i in members if rewards[i] >= border and rewards[i] > threshold]
        for i in kept:
            total += probability * score[i] / sum(len(tree.sequences[j]) for j in kept)
    return total


def check_rejection_sampling() -> Iterator[Gap]:
    """Rejection sampling: the mean token score function under the best-of-n distribution F(y)^n - F(y-)^n."""
    tree = table_tree(3, 2, seed=3)
    rewards = rewards_of(tree)
    for size in (1, 2, 3):
        got = expected_ascent(tree, rejection(tree), rewards, size)
        terms = [
            p * s / len(y) for p, s, y in zip(best_of(tree, rewards, size), tree.score(), tree.sequences, strict=True)
        ]
        yield Gap(relative(got, torch.stack(terms).sum(0)), EXACT, f"n = {size}")


def check_rejection_sampling_of_several() -> Iterator[Gap]:
    """Rejection sampling: a slow reference, over every group, ties and a threshold included."""
    tree = table_tree(3, 2, seed=3)
    rewards = [float(round(r)) for r in rewards_of(tree)]
    for best, threshold in ((1, None), (2, None), (2, 0.0)):
        got = expected_ascent(tree, rejection(tree, best=best, threshold=threshold), rewards, 3)
        floor = -torch.inf if threshold is None else threshold
        case = f"the best {best}" + ("" if threshold is None else f" above {threshold:g}")
        yield Gap(relative(got, kept_slow(tree, rewards, 3, best, floor)), EXACT, case)


def _taught() -> tuple[Tree, Table]:
    """Sequences of one length, so that a mean over tokens has a constant denominator; and another table as teacher."""
    tree = table_tree(3, 3, seed=0, end=None)
    teacher = Table(3, capacity=16)
    for state in tree.states:
        teacher.row(PROMPT + state)
    set_weights(teacher, random_weights(teacher, seed=9))
    return tree, teacher


def _distillation(tree: Tree, teacher: Table) -> PolicyGradient:
    config = Distillation.Config(optimizer=SGD(lr=1.0), teacher=Given(teacher))
    return config.build(tree.policy, Sampling(), 4096)


def check_distillation() -> Gap:
    """Distillation: minus the gradient of KL(student || teacher) in each state, under the student's visits."""
    tree, teacher = _taught()
    got = expected_ascent(tree, _distillation(tree, teacher), [0.0] * len(tree.sequences), 1)
    distributions, wanted = tree.distributions(), tree.distributions(teacher)
    visits = {s: chance.detach() for s, chance in tree.visits(distributions).items()}
    kls = [visits[s] * (distributions[s].exp() * (distributions[s] - wanted[s].detach())).sum() for s in tree.states]
    return Gap(relative(got, -tree.gradient(torch.stack(kls).sum() / tree.horizon)), EXACT)


def check_distillation_stands() -> Gap:
    """Distillation: zero step where the student equals the teacher, for every sample."""
    tree, teacher = _taught()
    with torch.no_grad():
        tree.policy.weight[: len(tree.states)] = teacher.weight[: len(tree.states)]
    picks = [Pick(one) for one in tree.episodes([0.0] * len(tree.sequences))]
    return Gap(float(ascent(tree, _distillation(tree, teacher), picks).abs().max()), 1e-15)


def learn_rejection_sampling(seed: int) -> Gap:
    """Rejection sampling: both right answers, each with its end token, with probability 1."""
    # it never pushes an answer down, so it is slow at the end
    return answered(RejectionSampling.Config(optimizer=AdamW(lr=0.2)), 60, seed)


def learn_distillation(seed: int) -> Gap:
    """Distillation: the teacher's distribution of the first word after either prompt: KL 0, without rewards."""
    policy, codec = Table.Config(words=WORDS, has_end=True).build(seed)
    teacher, _ = Table.Config(words=WORDS, has_end=True).build(seed)
    set_weights(teacher, random_weights(teacher, seed=9, scale=1.5))
    config = Distillation.Config(optimizer=AdamW(lr=0.1), teacher=Given(teacher))
    engaged(config, policy, codec, 60, seed, lambda task, one: 0.0)
    kls = []
    for prompt in WANTED:
        context = codec.start(prompt)
        own, wanted = (torch.log_softmax(one.weight[one.row(context)].detach(), -1) for one in (policy, teacher))
        kls.append(float((own.exp() * (own - wanted)).sum()))
    return Gap(max(kls), 0.05)
