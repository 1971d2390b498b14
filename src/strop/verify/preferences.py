"""Preference methods at the optimum that their papers derive, over every pair of sequences and every label."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from strop.algorithms.dpo import DPO
from strop.algorithms.ipo import IPO
from strop.algorithms.online_dpo import OnlineDPO
from strop.algorithms.robust_dpo import RobustDPO
from strop.optimizer import SGD
from strop.types import Pick, Sampling
from strop.verify.checks import Gap
from strop.verify.episodes import episode, turn
from strop.verify.tree import (
    PROMPT,
    Tree,
    ascent,
    built_at,
    expected_ascent,
    random_weights,
    relative,
    set_weights,
    table_tree,
)

EXACT = 1e-10
BETA, TAU, FLIPPED = 0.7, 0.5, 0.2
Wins = Callable[[int, int], float]


@dataclass(frozen=True, slots=True)
class World:
    """A tree, a reference's weights and distribution, the distribution of compared answers (mu), and rewards."""

    tree: Tree
    reference: Tensor
    ref: list[float]
    mu: list[float]
    rewards: list[float]

    def clean(self, i: int, j: int) -> float:
        """The probability that i is preferred to j under Bradley-Terry."""
        return sigmoid(self.rewards[i] - self.rewards[j])

    def flipped(self, i: int, j: int) -> float:
        """The same with a share of the labels flipped."""
        return (1.0 - FLIPPED) * self.clean(i, j) + FLIPPED * self.clean(j, i)

    def boltzmann(self) -> Tensor:
        """The weights of pi* = ref * exp(r / beta) / Z."""
        return self.weights_of([p * math.exp(r / BETA) for p, r in zip(self.ref, self.rewards, strict=True)])

    def weights_of(self, mass: Sequence[float]) -> Tensor:
        """The table whose sequences have probabilities proportional to `mass`: logs of the mass below each token."""
        best: Tensor = self.tree.policy.weight.detach().clone()
        for state in self.tree.states:
            for token in range(self.tree.policy.vocabulary):
                below = [
                    m for y, m in zip(self.tree.sequences, mass, strict=True) if y[: len(state) + 1] == (*state, token)
                ]
                best[self.tree.policy.contexts[PROMPT + state], token] = math.log(math.fsum(below))
        return best.flatten()

    def population(self, wins: Wins) -> list[Pick]:
        """Every ordered pair of different sequences i, j as a group: i is chosen with probability wins(i, j)."""
        picks = []
        for group, (i, j) in enumerate(itertools.permutations(range(len(self.ref)), 2)):
            weight = self.mu[i] * self.mu[j] * wins(i, j)
            for k, reward in ((i, 1.0), (j, 0.0)):
                one = episode(turn(PROMPT, self.tree.sequences[k], None), reward=reward, group=group)
                picks.append(Pick(one, weight=weight))
        return picks

    def slope(self, config: Any, wins: Wins, weights: Tensor) -> float:
        """The norm of the gradient over all pairs at these weights."""
        picks = self.population(wins)
        algorithm = built_at(self.tree, self.reference, lambda: config.build(self.tree.policy, Sampling(), 10**9))
        set_weights(self.tree.policy, weights)
        return float(ascent(self.tree, algorithm, picks).norm()) * len(picks)

    def fixed_point_gap(self, config: Any, wins: Wins, weights: Tensor) -> Gap:
        """The gradient norm at these weights, relative to that at the reference."""
        return Gap(self.slope(config, wins, weights) / self.slope(config, wins, self.reference), EXACT)


def world() -> World:
    """All sequences of up to two of three tokens, with random distributions and rewards."""
    tree = table_tree(3, 2, seed=0)
    reference = random_weights(tree.policy, seed=1)
    distributions = []
    for weights in (random_weights(tree.policy, seed=5), reference):
        set_weights(tree.policy, weights)
        distributions.append(tree.probabilities(tree.distributions()).tolist())
    mu, ref = distributions
    return World(tree, reference, ref, mu, random_weights(tree.policy, seed=2)[: len(ref)].tolist())


def sigmoid(x: float) -> float:
    """1 / (1 + e^-x)."""
    return 1.0 / (1.0 + math.exp(-x))


def unexplained(size: int) -> Wins:
    """Random winning probabilities, which no reward explains."""
    noise = torch.rand(size, size, generator=torch.Generator().manual_seed(3), dtype=torch.float64).tolist()
    return lambda i, j: noise[i][j] if i < j else 1.0 - noise[j][i]


def ipo_optimum(here: World, wins: Wins) -> Tensor:
    """The weights of ref * exp(p(y beats mu) / tau) / Z."""
    every = range(len(here.ref))
    beats = [math.fsum(here.mu[j] * (0.5 if i == j else wins(i, j)) for j in every) for i in every]
    return here.weights_of([p * math.exp(b / TAU) for p, b in zip(here.ref, beats, strict=True)])


def check_dpo() -> Gap:
    """DPO: zero gradient at ref * exp(r / beta) / Z, over every pair and label of Bradley-Terry."""
    here = world()
    return here.fixed_point_gap(DPO.Config(optimizer=SGD(lr=1.0), beta=BETA), here.clean, here.boltzmann())


def check_robust_dpo() -> Gap:
    """Robust DPO: zero gradient at the optimum of clean labels, though a fifth of them is flipped."""
    here = world()
    config = RobustDPO.Config(optimizer=SGD(lr=1.0), beta=BETA, flipped=FLIPPED)
    return here.fixed_point_gap(config, here.flipped, here.boltzmann())


def check_ipo() -> Gap:
    """IPO: zero gradient at ref * exp(p(y beats mu) / tau) / Z, for any labels."""
    here = world()
    wins = unexplained(len(here.ref))
    return here.fixed_point_gap(IPO.Config(optimizer=SGD(lr=1.0), tau=TAU), wins, ipo_optimum(here, wins))


def check_online_dpo() -> Gap:
    """Online DPO: the expected first step is beta * grad [P(win) - P(lose)] against itself."""
    tree = table_tree(3, 2, seed=2)
    rewards = [1.0, 0.0, 2.0, 1.0, 0.0, 2.0, 1.0]  # with ties
    algorithm = OnlineDPO.Config(optimizer=SGD(lr=1.0), beta=BETA).build(tree.policy, Sampling(), 4096)
    probs = tree.probabilities(tree.distributions()).tolist()
    edge = [
        math.fsum(p * ((r > other) - (r < other)) for p, other in zip(probs, rewards, strict=True)) for r in rewards
    ]
    got = expected_ascent(tree, algorithm, rewards, 2)
    return Gap(relative(got, BETA * tree.true_gradient(edge)), EXACT)
