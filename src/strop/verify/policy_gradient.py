"""The expected gradient of the policy-gradient methods, summed over every group that the policy can sample."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import torch
from torch import Tensor

from strop.algorithms.dr_grpo import DrGRPO
from strop.algorithms.grpo import GRPO
from strop.algorithms.reinforce import REINFORCE
from strop.algorithms.rloo import RLOO
from strop.functional.divergences import KL
from strop.optimizer import SGD
from strop.types import Episode, Part, Pick, Sampling
from strop.verify.checks import Gap
from strop.verify.tree import Tree, ascent, cosine, expected_ascent, relative, table_tree

EXACT = 1e-10
MAX_TOKENS = 5
R = TypeVar("R")
"""The reward of a sequence: one number, or one for each of several rewards."""


def build(kind: Any, tree: Tree, **fields: Any) -> Any:
    """The algorithm on the tree's policy, under plain SGD at rate 1, without KL unless given."""
    config = kind.Config(optimizer=SGD(lr=1.0), **({"kl": KL()} | fields))
    return config.build(tree.policy, Sampling(temperature=tree.temperature, max_tokens=MAX_TOKENS), 4096)


def rewards_of(tree: Tree, seed: int = 7) -> list[float]:
    """A normal random reward for every sequence."""
    generator = torch.Generator().manual_seed(seed)
    rewards: list[float] = torch.randn(len(tree.sequences), generator=generator, dtype=torch.float64).tolist()
    return rewards


def slow_reference(
    tree: Tree, rewards: Sequence[R], size: int, advantages: Callable[[list[R]], list[float]], by_length: bool
) -> Tensor:
    """sum over groups of P(group) * (1/G) sum_i A_i grad log pi(y_i), in plain loops; `by_length` divides by L_i."""
    score = tree.score()
    total = torch.zeros_like(score[0])
    for probability, members in tree.tuples(size):
        for a, i in zip(advantages([rewards[i] for i in members]), members, strict=True):
            total += probability * a * score[i] / size / (len(tree.sequences[i]) if by_length else 1)
    return total


def normalised(group: list[float]) -> list[float]:
    """GRPO's advantages by the standard library: over the Bessel-corrected std + 1e-4."""
    if len(set(group)) == 1:
        return [0.0] * len(group)
    return [(r - statistics.fmean(group)) / (statistics.stdev(group) + 1e-4) for r in group]


def check_reinforce() -> Iterator[Gap]:
    """REINFORCE: grad J in expectation over every sequence."""
    for temperature in (1.0, 0.7):
        tree = table_tree(3, 3, temperature=temperature)
        rewards = rewards_of(tree)
        got = expected_ascent(tree, build(REINFORCE, tree, baseline_decay=None), rewards, 1)
        yield Gap(relative(got, tree.true_gradient(rewards)), EXACT, f"temperature {temperature:g}")


def check_reinforce_baseline() -> Gap:
    """REINFORCE: grad J for any running-mean baseline."""
    tree = table_tree(3, 3)
    rewards = rewards_of(tree)
    algorithm = build(REINFORCE, tree, baseline_decay=None)
    algorithm.baseline = 5.0
    return Gap(relative(expected_ascent(tree, algorithm, rewards, 1), tree.true_gradient(rewards)), EXACT)


def check_reinforce_discounted() -> Iterator[Gap]:
    """REINFORCE: its discounted gradient, with rewards on every token."""
    tree = table_tree(3, 3, seed=8)
    generator = torch.Generator().manual_seed(3)
    reward = {(*s, a): float(torch.randn((), generator=generator)) for s in tree.states for a in range(3)}
    paid = [[reward[y[: t + 1]] for t in range(len(y))] for y in tree.sequences]
    episodes = [_paid(one, r) for one, r in zip(tree.episodes([0.0] * len(paid)), paid, strict=True)]
    probs, logprobs = tree.probabilities(tree.distributions()), tree.logprobs(tree.distributions())
    true = tree.true_gradient([sum(0.5**t * r for t, r in enumerate(one)) for one in paid])
    to_go = [[sum(0.5 ** (k - t) * one[k] for k in range(t, len(one))) for t in range(len(one))] for one in paid]
    terms = [
        p.detach() * (torch.tensor(g, dtype=torch.float64) * logps).sum()
        for p, g, logps in zip(probs, to_go, logprobs, strict=True)
    ]
    usual = tree.gradient(torch.stack(terms).sum())
    for discount_state, expected, case in ((True, true, "grad of the discounted return"), (False, usual, "no gamma^t")):
        algorithm = build(REINFORCE, tree, baseline_decay=None, discount=0.5, discount_state=discount_state)
        got = torch.stack([p * ascent(tree, algorithm, [Pick(episodes[i])]) for p, (i,) in tree.tuples(1)]).sum(dim=0)
        yield Gap(relative(got, expected), EXACT, case)


def _paid(one: Episode, per_token: list[float]) -> Episode:
    return replace(one, parts={"r": Part(1.0, math.fsum(per_token), tokens=tuple(per_token))})


def check_rloo() -> Iterator[Gap]:
    """RLOO: grad J over every group."""
    tree = table_tree(3, 2, seed=2)
    rewards = rewards_of(tree)
    for size in (2, 3):
        got = expected_ascent(tree, build(RLOO, tree), rewards, size)
        yield Gap(relative(got, tree.true_gradient(rewards)), EXACT, f"G = {size}")
    longer = table_tree(2, 5, seed=2)  # thirds and fifths, which only double precision tells from their neighbours
    got = expected_ascent(longer, build(RLOO, longer), rewards_of(longer), 2)
    yield Gap(relative(got, longer.true_gradient(rewards_of(longer))), EXACT, "G = 2, up to 5 tokens")


def check_dr_grpo() -> Iterator[Gap]:
    """Dr. GRPO: (G - 1) / G * grad J / L_max over every group."""
    tree = table_tree(3, 2, seed=3)
    rewards = rewards_of(tree)
    for size in (2, 3):
        got = expected_ascent(tree, build(DrGRPO, tree), rewards, size)
        expected = (size - 1) / size * tree.true_gradient(rewards) / MAX_TOKENS
        yield Gap(relative(got, expected), EXACT, f"G = {size}")


def check_grpo() -> Iterator[Gap]:
    """GRPO: a slow reference, over every group."""
    tree = table_tree(3, 2, seed=5)
    rewards = rewards_of(tree)
    for size in (2, 3):
        got = expected_ascent(tree, build(GRPO, tree), rewards, size)
        yield Gap(relative(got, slow_reference(tree, rewards, size, normalised, by_length=True)), EXACT, f"G = {size}")


def check_grpo_factor() -> Iterator[Gap]:
    """GRPO: a known factor times grad J for 0/1 rewards and equal lengths."""
    tree = table_tree(2, 2, end=None, seed=4)
    rewards = [1.0, 0.0, 0.0, 1.0]
    true = tree.true_gradient(rewards) / 2  # the mean over two tokens
    for size, factor, name in ((2, 1 / math.sqrt(2), "1 / sqrt 2, G = 2"), (3, 2 / math.sqrt(3), "2 / sqrt 3, G = 3")):
        got = expected_ascent(tree, build(GRPO, tree), rewards, size)
        yield Gap(relative(got, factor * true), 4e-4, name)  # 1e-4 is added to the std


def check_grpo_bias() -> Gap:
    """GRPO: biased where lengths differ, the cosine with grad J is at most 1 - 1e-6 (the excess)."""
    tree = table_tree(3, 2, seed=5)
    rewards = [float(r > 0) for r in rewards_of(tree)]
    got = expected_ascent(tree, build(GRPO, tree), rewards, 2)
    return Gap(max(cosine(got, tree.true_gradient(rewards)) - (1 - 1e-6), 0.0), 0.0)
