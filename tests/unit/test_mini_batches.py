"""PPO with several optimiser steps an epoch: each is a mean over the tokens of its own part."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from exact.build import batch_of, episode, flat, turn
from strop.algorithms.ppo import PPO
from strop.batch import collate
from strop.functional.divergences import KL
from strop.learners.actor_critic import Critic
from strop.optimizer import SGD
from strop.policies.table import Table
from strop.types import Pick, Sampling, Unscored
from strop.verify.tree import PROMPT, Tree

FIELDS: dict[str, Any] = {
    "kl": KL(), "clip": 0.1, "critic": Critic(weight=0.4, clip=0.05), "entropy": 0.2, "discount": 0.9, "trace": 0.7,
    "epochs": 2, "minibatches": 3,
}  # fmt: skip


def ragged_tree() -> Tree:
    """Fifteen answers of one to three tokens (0 ends) over random logits, and random values."""
    policy = Table(3, capacity=16, value_head=True)
    tree = Tree(policy, horizon=3, end=0)
    for state in tree.states:
        policy.row(PROMPT + state)
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
    return tree


def test_three_parts_of_ragged_answers_are_their_slow_reference() -> None:
    tree, rate, shrink = ragged_tree(), 2.0, 0.9 * 0.7
    paid: list[Any] = [float(i * i % 7) - 2.0 for i in range(len(tree.sequences))]
    paid[4] = Unscored("lost")
    batch = collate(tuple(Pick(one) for one in tree.episodes(paid)), "per_turn")
    policy, start = tree.policy, [p.detach().clone() for p in tree.policy.parameters()]
    config = PPO.Config(optimizer=SGD(lr=rate), **FIELDS)
    algorithm = config.build(policy, Sampling(), 4096)
    parts = list(config.build(policy, Sampling(), 4096)._minibatches(batch))  # one row an answer
    metrics = algorithm.update(batch).metrics

    weight, value = (p.clone().requires_grad_() for p in start)
    fixed_weight, fixed_value = start
    steps: dict[int, list[tuple[int, int, float, float]]] = {}  # answer: (row, token, advantage, target) of each step
    for i, (y, reward) in enumerate(zip(tree.sequences, paid, strict=True)):
        if isinstance(reward, Unscored):
            continue
        rows, advantage = [policy.row(PROMPT + y[:t]) for t in range(len(y))], 0.0
        for t in reversed(range(len(y))):
            here = fixed_value[rows[t]].item()
            last = t == len(y) - 1
            ahead = reward if last else 0.9 * fixed_value[rows[t + 1]].item()
            advantage = ahead - here + (0.0 if last else shrink * advantage)
            steps.setdefault(i, []).append((rows[t], y[t], advantage, advantage + here))
    every = torch.tensor([step[2] for of in steps.values() for step in of], dtype=torch.float64)
    mean, std = every.mean().item(), every.std(correction=0).item()

    def loss_of(row: int, token: int, advantage: float, target: float) -> Tensor:
        distribution, hat = torch.log_softmax(weight[row], -1), (advantage - mean) / (std + 1e-8)
        ratio = (distribution[token] - torch.log_softmax(fixed_weight[row], -1)[token]).exp()
        held = fixed_value[row] + (value[row] - fixed_value[row]).clamp(-0.05, 0.05)
        bitten.update({"ratio"} if abs(ratio.item() - 1) > 0.1 else ())
        bitten.update({"value"} if (held - target) ** 2 > (value[row] - target) ** 2 + 1e-9 else ())
        critic = torch.maximum((value[row] - target) ** 2, (held - target) ** 2) / 2
        actor = torch.maximum(-ratio * hat, -ratio.clamp(0.9, 1.1) * hat)
        return actor + 0.4 * critic + 0.2 * (distribution.exp() * distribution).sum()

    bitten: set[str] = set()
    sizes = set()
    for part in parts:
        own = [step for i in part for step in steps.get(i, [])]
        sizes.add(len(own))
        loss = torch.stack([loss_of(*step) for step in own]).sum() / len(own)
        slopes = torch.autograd.grad(loss, (weight, value))
        with torch.no_grad():
            weight -= rate * slopes[0]
            value -= rate * slopes[1]
    assert len(parts) == 6
    assert len(sizes) > 1  # a mean over the whole batch, or a third of it, would be another number
    assert bitten == {"ratio", "value"}
    assert float((flat(policy.parameters()) - flat([weight, value])).abs().max()) < 1e-13
    assert metrics["optimizer/loss"].value == pytest.approx(loss.item(), abs=1e-13)


def test_a_part_in_which_nothing_is_scored_is_no_step() -> None:
    policy = Table(3, capacity=8, value_head=True)
    config = PPO.Config(optimizer=SGD(lr=0.1, momentum=0.9), kl=KL(), epochs=1, minibatches=3)
    algorithm = config.build(policy, Sampling(), 4096)
    rewards = (1.0, Unscored("lost"), 2.0)
    algorithm.update(batch_of(*(episode(turn((1,), (i,)), reward=r, id=str(i)) for i, r in enumerate(rewards))))
    assert algorithm.optimizer.num_steps == 2


@pytest.mark.parametrize("parts", [1, 2, 3])
def test_an_epoch_is_as_many_steps_as_parts(parts: int) -> None:
    batch = batch_of(*(episode(turn((1,), (0,)), reward=float(i), id=str(i)) for i in range(4)))
    config = PPO.Config(optimizer=SGD(lr=0.1), kl=KL(), epochs=2, minibatches=parts)
    algorithm = config.build(Table(3, capacity=8, value_head=True), Sampling(), 4096)
    algorithm.update(batch)
    assert algorithm.optimizer.num_steps == 2 * parts


def test_the_parts_are_dealt_anew_at_every_update() -> None:
    batch = batch_of(*(episode(turn((1,), (0,)), reward=float(i), id=str(i)) for i in range(12)))
    config = PPO.Config(optimizer=SGD(lr=0.1), kl=KL(), epochs=1, minibatches=3)
    algorithm = config.build(Table(3, capacity=8, value_head=True), Sampling(), 4096)
    first = list(algorithm._minibatches(batch))
    algorithm.update(batch)
    second = list(algorithm._minibatches(batch))
    assert first != second
    assert sorted(map(len, first)) == sorted(map(len, second)) == [4, 4, 4]
    assert first != [[e for e in range(12) if e % 3 == part] for part in range(3)]  # shuffled, not every third
