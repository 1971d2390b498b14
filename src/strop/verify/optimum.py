"""The optimum of KL-regularised RL, pi* = ref e^(r / beta) / Z: the fixed point or the limit of several methods."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from strop.algorithms.reinforce import REINFORCE
from strop.algorithms.rloo import RLOO
from strop.functional.divergences import KL
from strop.optimizer import SGD
from strop.types import Pick, Sampling
from strop.verify.checks import Gap
from strop.verify.tree import Tree, ascent, built_at, expected_ascent, flat, random_weights, set_weights, table_tree

BETA = 0.5


def optimum(tree: Tree, reference: Tensor, rewards: list[float], beta: float) -> tuple[Tensor, float]:
    """Weights of pi* = ref e^(r / beta) / Z by backward induction, and beta ln Z."""
    own = flat(tree.policy.parameters())
    set_weights(tree.policy, reference)
    ref = tree.probabilities(tree.distributions()).tolist()
    mass = {y: p * math.exp(r / beta) for y, p, r in zip(tree.sequences, ref, rewards, strict=True)}
    best = tree.policy.weight.detach().clone()
    for state in tree.states:
        for token in range(tree.policy.vocabulary):
            prefix = (*state, token)
            below = math.fsum(m for y, m in mass.items() if y[: len(prefix)] == prefix)
            best[tree.policy.contexts[(1, *state)], token] = math.log(below)
    set_weights(tree.policy, own)
    return best.flatten(), beta * math.log(math.fsum(mass.values()))


def natural_step(tree: Tree, moved: Tensor, rate: float) -> None:
    """Step along the gradient over d_s pi(a | s): the natural gradient of a softmax table, fast in rare places too."""
    distributions = {s: distribution.detach() for s, distribution in tree.distributions().items()}
    visits = tree.visits(distributions)
    step = moved.view_as(tree.policy.weight).clone()
    for s in tree.states:
        step[tree.policy.contexts[(1, *s)]] /= visits[s] * distributions[s].exp()
    set_weights(tree.policy, flat(tree.policy.parameters()) + rate * step.flatten())


def fixture(horizon: int) -> tuple[Tree, Tensor, list[float]]:
    """A tree, the weights of a different reference, and random rewards."""
    tree = table_tree(3, horizon, seed=0)
    rewards: list[float] = random_weights(tree.policy, seed=2)[: len(tree.sequences)].tolist()
    return tree, random_weights(tree.policy, seed=1), rewards


def _stands(config: Any, size: int) -> Gap:
    tree, reference, rewards = fixture(2)
    best, _ = optimum(tree, reference, rewards, BETA)
    algorithm = built_at(tree, reference, lambda: config.build(tree.policy, Sampling(), 4096))
    set_weights(tree.policy, best)
    return Gap(float(expected_ascent(tree, algorithm, rewards, size).norm()), 1e-12)


def check_reinforce_stands() -> Gap:
    """REINFORCE: zero expected step at the Boltzmann optimum of E[r] - beta KL."""
    return _stands(REINFORCE.Config(optimizer=SGD(lr=1.0), kl=KL(weight=BETA), baseline_decay=None), 1)


def check_rloo_stands() -> Gap:
    """RLOO: zero expected step at the Boltzmann optimum of E[r] - beta KL."""
    return _stands(RLOO.Config(optimizer=SGD(lr=1.0), kl=KL(weight=BETA)), 2)


def check_reinforce_arrives() -> Gap:
    """REINFORCE: beta ln Z, the best value of E[r] - beta KL, after 50 exact steps."""
    tree, reference, rewards = fixture(3)
    _, value = optimum(tree, reference, rewards, BETA)
    config = REINFORCE.Config(optimizer=SGD(lr=1.0), kl=KL(weight=BETA), baseline_decay=None)
    algorithm = built_at(tree, reference, lambda: config.build(tree.policy, Sampling(), 4096))
    set_weights(tree.policy, reference)
    ref = tree.probabilities(tree.distributions()).detach()
    for _ in range(50):
        probs = tree.probabilities(tree.distributions()).tolist()
        picks = [Pick(one, weight=len(probs) * p) for one, p in zip(tree.episodes(rewards), probs, strict=True)]
        natural_step(tree, ascent(tree, algorithm, picks), 1.0)
    distribution = tree.probabilities(tree.distributions()).detach()
    kl = float((distribution * (distribution / ref).log()).sum())
    return Gap(abs(value - (float(distribution @ torch.tensor(rewards, dtype=torch.float64)) - BETA * kl)), 1e-10)
