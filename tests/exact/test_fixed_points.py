"""Where exact-gradient training of a bandit ends: at the Boltzmann policy, and what other KL choices reach instead."""

from __future__ import annotations

import math
from typing import Any

import torch

from exact.tree import Tree, ascent, expected_ascent, set_weights
from strop.algorithms.grpo import GRPO
from strop.algorithms.reinforce import REINFORCE
from strop.algorithms.rloo import RLOO
from strop.functional.divergences import KL
from strop.optimizer import SGD
from strop.policies.table import Table
from strop.types import Pick, Sampling
from strop.verify.optimum import natural_step

REF, REWARD = (0.5, 0.3, 0.2), (1.0, 0.0, 0.5)


def bandit() -> Tree:
    """One decision among three answers; the table stands at REF."""
    policy = Table(3, capacity=2)
    tree = Tree(policy, 1, end=None)
    policy.row((1,))
    set_weights(policy, torch.cat([torch.tensor(REF, dtype=torch.float64).log(), torch.zeros(3, dtype=torch.float64)]))
    return tree


def solved(tree: Tree, algorithm: Any, size: int) -> list[float]:
    """The policy after 15 exact gradient steps."""
    for _ in range(15):
        natural_step(tree, expected_ascent(tree, algorithm, REWARD, size), 0.8)
    probs: list[float] = tree.probabilities(tree.distributions()).tolist()
    return probs


def iterate(advantage: Any) -> list[float]:
    """pi_j = ref_j / (1 - A_j(pi)), the fixed point of the forward KL at weight 1, by damped iteration."""
    pi = list(REF)
    for _ in range(5000):
        new = [ref / (1.0 - a) for ref, a in zip(REF, advantage(pi), strict=True)]
        pi = [0.5 * p + 0.5 * n for p, n in zip(pi, new, strict=True)]
    return pi


def close(got: list[float], expected: Any, tolerance: float) -> bool:
    return max(abs(a - b) for a, b in zip(got, expected, strict=True)) < tolerance


def test_bandit_with_k1_in_the_reward_reaches_boltzmann() -> None:
    # ref e^r / Z = (1.359141, .3, .329744) / 1.988885
    boltzmann = [ref * math.exp(r) for ref, r in zip(REF, REWARD, strict=True)]
    boltzmann = [b / sum(boltzmann) for b in boltzmann]
    assert close(boltzmann, (0.683368, 0.150838, 0.165794), 1e-6)
    tree = bandit()
    algorithm = RLOO.Config(optimizer=SGD(lr=1.0), kl=KL(weight=1.0)).build(tree.policy, Sampling(), 4096)
    assert close(solved(tree, algorithm, 2), boltzmann, 1e-6)


def test_bandit_with_k3_in_the_loss_reaches_another_point() -> None:
    # stationary where pi (1 - (r - E r)) = ref: the forward KL's point, not Boltzmann's
    def advantage(pi: list[float]) -> list[float]:
        mean = sum(p * r for p, r in zip(pi, REWARD, strict=True))
        return [r - mean for r in REWARD]

    point = iterate(advantage)
    assert close(point, (0.668186, 0.171596, 0.160219), 1e-6)
    tree = bandit()
    kl = KL(weight=1.0, placement="loss", estimator="k3")
    config = REINFORCE.Config(optimizer=SGD(lr=1.0), kl=kl, baseline_decay=None)
    assert close(solved(tree, config.build(tree.policy, Sampling(), 4096), 1), point, 1e-6)


def test_bandit_grpo_pairs_reach_the_point_of_normalised_advantages() -> None:
    # a pair (j, k) gives j the advantage d / (sqrt(2) |d| + 2e-4), d = r_j - r_k; A_j is its mean over k ~ pi
    def advantage(pi: list[float]) -> list[float]:
        def pair(j: int, k: int) -> float:
            d = REWARD[j] - REWARD[k]
            return (d / 2) / (abs(d) / math.sqrt(2) + 1e-4)

        return [sum(pi[k] * pair(j, k) for k in range(3)) for j in range(3)]

    tree = bandit()
    kl = KL(weight=1.0, placement="loss", estimator="k3")
    algorithm = GRPO.Config(optimizer=SGD(lr=1.0), kl=kl).build(tree.policy, Sampling(), 4096)
    assert close(solved(tree, algorithm, 2), iterate(advantage), 1e-6)


def test_bandit_grpo_in_a_large_group_has_the_fixed_point_of_the_population_std() -> None:
    # A = (r - E r) / std under pi gives (.841942, .073007, .085051); a group of 1000 rounds it to 842, 73, 85
    def advantage(pi: list[float]) -> list[float]:
        mean = sum(p * r for p, r in zip(pi, REWARD, strict=True))
        std = math.sqrt(sum(p * (r - mean) ** 2 for p, r in zip(pi, REWARD, strict=True)))
        return [(r - mean) / std for r in REWARD]

    point = [0.841942, 0.073007, 0.085051]
    assert close([ref / (1.0 - a) for ref, a in zip(REF, advantage(point), strict=True)], point, 2e-6)
    tree = bandit()
    kl = KL(weight=1.0, placement="loss", estimator="k3")
    algorithm = GRPO.Config(optimizer=SGD(lr=1.0), kl=kl).build(tree.policy, Sampling(), 4096)
    still = {}
    for counts in ((842, 73, 85), (684, 151, 165)):
        with torch.no_grad():
            tree.policy.weight[0] = torch.tensor(counts, dtype=torch.float64).log()
        episodes = tree.episodes(REWARD)
        group = [Pick(one) for one, n in zip(episodes, counts, strict=True) for _ in range(n)]
        still[counts] = float(ascent(tree, algorithm, group).norm())
    assert still[842, 73, 85] < 2e-3 < 50 * 2e-3 < still[684, 151, 165]
