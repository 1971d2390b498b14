"""Path consistency against the optimum of KL-regularised RL, by backward induction over every state of a tree."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import torch

from strop.algorithms.path_consistency import PathConsistency
from strop.environments.single_turn import SingleTurn
from strop.memory import Replay
from strop.optimizer import SGD
from strop.policies.table import Table
from strop.types import Batch, Sampling, Tokens
from strop.verify.checks import Gap
from strop.verify.episodes import batch_of, episode, turn
from strop.verify.learning import TASKS, WORDS, share_right
from strop.verify.tree import PROMPT, Distributions, Tree, random_weights, set_weights, table_tree
from strop.verify.worlds import EXPLORE, learn

BETA = 0.3
Reward = Callable[[Tokens], float]


def soft_solution(
    tree: Tree, ref: Distributions, reward: Reward, discount: float
) -> tuple[dict[Tokens, float], Distributions]:
    """V* and log pi* of every state: V = beta log sum ref exp(Q / beta), Q = reward of the end, or discount V(next)."""
    value: dict[Tokens, float] = {}
    distribution: Distributions = {}
    for state in sorted(tree.states, key=len, reverse=True):
        q = [
            discount * value[(*state, a)] if (*state, a) in value else reward((*state, a))
            for a in range(tree.policy.vocabulary)
        ]
        tilted = ref[state].detach() + torch.tensor(q, dtype=torch.float64) / BETA
        value[state] = BETA * tilted.logsumexp(-1).item()
        distribution[state] = tilted - tilted.logsumexp(-1)
    return value, distribution


def paths(tree: Tree, reward: Reward) -> Batch:
    """Every sequence once, without log-probs: off-policy data."""
    return batch_of(*(episode(turn(PROMPT, y, None), reward=reward(y)) for y in tree.sequences), layout="per_turn")


def score(y: Tokens) -> float:
    """A reward that looks random."""
    return math.sin(3.0 * sum((k + 2) * (a + 1) for k, a in enumerate(y)))


def write(policy: Any, value: dict[Tokens, float], distribution: Distributions, shift: float) -> None:
    """Write the optimum: logits log pi* + V*/beta (shift 0, unified), or shifted log pi* and V* in the value head."""
    with torch.no_grad():
        for k, state in enumerate(distribution):
            row = policy.row(PROMPT + state)
            policy.weight[row] = distribution[state] + (shift * k if shift else value[state] / BETA)
            policy.value[row] = value[state]


def soft_tree(horizon: int) -> Tree:
    """A tree over a table with values, all parameters random."""
    tree = table_tree(3, horizon)
    tree.policy = policy = Table(3, capacity=64, value_head=True)
    for state in tree.states:
        policy.row(PROMPT + state)
    set_weights(policy, random_weights(policy, seed=5))
    return tree


def residual_at_optimum(n_step: int | None, unified: bool, discount: float, rewards: float = 1.0) -> float:
    """The largest residual of a path at pi* and V*, with the rewards times a factor."""
    tree = soft_tree(3)
    config = PathConsistency.Config(
        optimizer=SGD(lr=1e-9), beta=BETA, discount=discount, n_step=n_step, unified=unified, target_share=1.0
    )
    algorithm: Any = config.build(tree.policy, Sampling(), 4096)
    value, distribution = soft_solution(tree, tree.distributions(), score, discount)
    for policy in (tree.policy, algorithm.method.copy):
        write(policy, value, distribution, 0.0 if unified else 0.37)
    update = algorithm.update(paths(tree, lambda y: rewards * score(y)))
    return float(update.per_token["residual"].abs().max())


def check_path_consistency() -> Iterator[Gap]:
    """Path consistency: zero residual of every path at the soft optimum."""
    for unified, n_step in product((True, False), (1, 2, None)):
        gap = max(residual_at_optimum(n_step, unified, discount) for discount in (1.0, 0.8))
        name = f"{'unified' if unified else 'a value head'}, n_step {n_step}".replace("None", "none")
        yield Gap(gap, 1e-12, name)


def errors_off_policy(unified: bool, n_step: int | None, lr: float, steps: int) -> float:
    """The largest distance of log pi from log pi*, and of the first state's V, after learning from uniform data."""
    tree = soft_tree(2)
    ref = tree.distributions()
    config = PathConsistency.Config(
        optimizer=SGD(lr=lr), beta=BETA, discount=1.0, n_step=n_step, unified=unified, target_share=1.0
    )
    policy, algorithm = tree.policy, config.build(tree.policy, Sampling(), 4096)
    value, distribution = soft_solution(tree, ref, score, 1.0)
    batch = paths(tree, score)
    for _ in range(steps):
        algorithm.update(batch)
    gaps = [
        float((torch.log_softmax(policy.weight[policy.row(PROMPT + state)].detach(), -1) - expected).abs().max())
        for state, expected in distribution.items()
    ]
    row = policy.row(PROMPT)
    start = BETA * policy.weight[row].detach().logsumexp(-1) if unified else policy.value[row]
    return float(max(*gaps, abs(start.item() - value[()])))


LEARNT = ((True, None, 8.0, 150), (True, 1, 80.0, 150), (False, None, 3.0, 400))
"""unified, n_step, rate and updates, found by trying: the loss is a square, not a known contraction."""


def check_path_consistency_data() -> Iterator[Gap]:
    """Path consistency: the Boltzmann policy and its value, from off-policy data."""
    for unified, n_step, lr, steps in LEARNT:
        name = f"{'unified' if unified else 'a value head'}, n_step {n_step}".replace("None", "none")
        yield Gap(errors_off_policy(unified, n_step, lr, steps), 1.5e-2, name)


def learn_path_consistency(seed: int) -> Gap:
    """Path consistency: the Boltzmann probability e^2 / (e^2 + 4) of the right word at beta .5, from random words."""
    policy, codec = Table.Config(words=WORDS, capacity=8).build(seed)
    config = PathConsistency.Config(optimizer=SGD(lr=8.0), beta=0.5, target_share=1.0)
    memory = Replay.Config(size=32, num_draws=3).build()
    learn(
        config.build(policy, EXPLORE, 4096), policy, codec, memory, SingleTurn, TASKS, 40, seed,
        rewards={"right": (share_right, 1.0)},
    )  # fmt: skip
    distribution = torch.softmax(policy.weight[policy.row(codec.encode("x"))].detach(), -1)
    return Gap(abs(distribution[codec.encode("red")[0]].item() - math.exp(2) / (math.exp(2) + 4)), 0.02)
