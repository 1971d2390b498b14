"""Expected gradients over every group that the policy can sample, beside the rows of `strop verify`.

What that enumeration itself is worth, factors in closed form, biases, variances, and a real transformer.
"""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from exact.build import episode, transformer, turn
from exact.tree import PROMPT, Tree, ascent, cosine, expected_ascent, relative, table_tree
from strop.algorithms.dr_grpo import DrGRPO
from strop.algorithms.grpo import GRPO
from strop.algorithms.reinforce import REINFORCE
from strop.algorithms.rloo import RLOO
from strop.policies.table import Table
from strop.types import Pick, Unscored
from strop.verify.policy_gradient import MAX_TOKENS, build, rewards_of


def test_tree_probabilities_sum_to_one_and_the_score_has_mean_zero() -> None:
    tree = table_tree(3, 3)
    assert (len(tree.sequences), len(tree.states)) == (15, 7)
    probs = tree.probabilities(tree.distributions()).detach()
    assert abs(float(probs.sum()) - 1) < 1e-14
    mean = sum(p * s for p, s in zip(probs, tree.score(), strict=True))
    assert float(mean.abs().max()) < 1e-15  # E[grad log pi] = 0


def test_true_gradient_equals_finite_differences_and_the_score_form() -> None:
    tree = table_tree(3, 2)
    rewards = rewards_of(tree)
    gradient = tree.true_gradient(rewards)
    probs = tree.probabilities(tree.distributions()).tolist()
    by_score = sum(p * r * s for p, r, s in zip(probs, rewards, tree.score(), strict=True))
    assert relative(by_score, gradient) < 1e-13
    weight, step = tree.policy.weight, 1e-5
    for index in range(3):
        ends = []
        for sign in (1, -1):
            with torch.no_grad():
                weight.view(-1)[index] += sign * step
            ends.append(
                sum(p * r for p, r in zip(tree.probabilities(tree.distributions()).tolist(), rewards, strict=True))
            )
            with torch.no_grad():
                weight.view(-1)[index] -= sign * step
        assert abs((ends[0] - ends[1]) / (2 * step) - float(gradient[index])) < 1e-8


def test_reinforce_baseline_does_not_move_the_expectation_but_its_variance() -> None:
    tree = table_tree(3, 3)
    rewards = [r + 5.0 for r in rewards_of(tree)]
    spread = {}
    for baseline in (0.0, 5.0):
        algorithm = build(REINFORCE, tree, baseline_decay=None)
        algorithm.state.value = baseline
        assert relative(expected_ascent(tree, algorithm, rewards, 1), tree.true_gradient(rewards)) < 1e-12
        episodes = tree.episodes(rewards)
        spread[baseline] = sum(
            p * float(ascent(tree, algorithm, [Pick(episodes[i])]).square().sum()) for p, (i,) in tree.tuples(1)
        )
    assert spread[5.0] < 0.2 * spread[0.0]


def test_a_baseline_that_depends_on_the_action_is_biased() -> None:
    # b(y) = r(y) / 2 leaves r / 2: half the gradient; b = r leaves nothing. The harness sees such a bias.
    tree = table_tree(3, 3)
    rewards = rewards_of(tree)
    algorithm = build(REINFORCE, tree, baseline_decay=None)
    got = expected_ascent(tree, algorithm, [r - r / 2 for r in rewards], 1)
    assert relative(got, tree.true_gradient(rewards)) > 0.4
    assert float(expected_ascent(tree, algorithm, [0.0] * len(rewards), 1).abs().max()) == 0.0


@pytest.mark.parametrize("size", [2, 3, 4])
def test_grpo_on_equal_lengths_and_binary_rewards_points_along_the_gradient(size: int) -> None:
    # sequences of exactly 2 tokens, success rate q. E = f * grad J / 2 (the mean over 2 tokens) with
    # f = sum_k C(G, k) q^k (1-q)^(G-k) k(1-k/G)/G / (std_k + 1e-4) / (q (1-q)),  std_k^2 = k (1 - k/G) / (G - 1):
    # k successes have advantage (1 - k/G) / std, failures -(k/G) / std, and E[s|1] - E[s|0] = grad J / (q (1-q)).
    tree = table_tree(2, 2, end=None, seed=4)
    rewards = [1.0, 0.0, 0.0, 1.0]
    q = sum(p * r for p, r in zip(tree.probabilities(tree.distributions()).tolist(), rewards, strict=True))
    factor = sum(
        math.comb(size, k)
        * q**k
        * (1 - q) ** (size - k)
        * k
        * (1 - k / size)
        / size
        / (math.sqrt(k * (1 - k / size) / (size - 1)) + 1e-4)
        / (q * (1 - q))
        for k in range(1, size)
    )
    got, true = expected_ascent(tree, build(GRPO, tree), rewards, size), tree.true_gradient(rewards)
    assert cosine(got, true) > 1 - 1e-12
    assert relative(got, factor * true / 2) < 1e-12
    if size < 4:  # 1/sqrt(2) and 2/sqrt(3) whatever q is, up to the 1e-4 in the denominator
        assert abs(factor - {2: 1 / math.sqrt(2), 3: 2 / math.sqrt(3)}[size]) < 4e-4


def test_grpo_favours_long_wrong_answers_and_dr_grpo_does_not() -> None:
    # one decision among three answers of length 2 (right, p .3), 1 (wrong, .4) and 4 (wrong, .3); all later tokens are
    # forced. The push on a wrong answer's first logit over its probability, G = 4: token sums give both the same;
    # the mean over tokens gives -.197 to the short and -.028 to the long one (advantages without the std).
    tree = Tree(Table(3, capacity=8), 1, end=None)
    answers, rewards = [(0, 0), (1,), (2, 0, 0, 0)], [1.0, 0.0, 0.0]
    with torch.no_grad():
        tree.policy.weight[tree.policy.row(PROMPT)] = torch.tensor([0.3, 0.4, 0.3], dtype=torch.float64).log()
        for y in answers:
            for t in range(1, len(y)):  # a forced token
                forced = torch.tensor([0.0, -50.0, -50.0], dtype=torch.float64)
                tree.policy.weight[tree.policy.row(PROMPT + y[:t])] = forced
    push = {kind: torch.zeros(3, dtype=torch.float64) for kind in (DrGRPO, GRPO)}
    episodes = [
        episode(turn(PROMPT, y, [math.log(p)] + [0.0] * (len(y) - 1)), reward=r)
        for y, p, r in zip(answers, (0.3, 0.4, 0.3), rewards, strict=True)
    ]
    for kind, total in push.items():
        algorithm = build(kind, tree, **({"max_tokens": 1} if kind is DrGRPO else {}))
        for probability, members in tree.tuples(4):
            total += probability * ascent(tree, algorithm, [Pick(episodes[i]) for i in members])[:3]
    short, long = (push[DrGRPO][1] / 0.4, push[DrGRPO][2] / 0.3)
    assert abs(float(short - long)) < 1e-12
    assert abs(float(short) + 0.225) < 1e-9  # -(G-1)/G * E[r] = -.75 * .3
    short, long = push[GRPO][1] / 0.4, push[GRPO][2] / 0.3
    assert float(short) < 3 * float(long) < 0


@pytest.mark.parametrize("kind", [REINFORCE, RLOO, DrGRPO, GRPO])
def test_unscored_members_leave_statistics_and_denominators(kind: Any) -> None:
    tree = table_tree(3, 2, seed=6)
    rewards = rewards_of(tree)
    episodes = tree.episodes(rewards)
    lost = tree.episodes([Unscored("no answer")] * len(rewards))[0]
    algorithm = build(kind, tree, **({"baseline_decay": None} if kind is REINFORCE else {}))
    alone = ascent(tree, algorithm, [Pick(episodes[1]), Pick(episodes[4])])
    beside = ascent(tree, algorithm, [Pick(episodes[1]), Pick(lost), Pick(episodes[4])])
    assert float(alone.norm()) > 1e-3
    assert relative(beside, alone) < 1e-14


@pytest.mark.parametrize("kind", [RLOO, DrGRPO, GRPO])
def test_equal_rewards_give_exactly_no_gradient_despite_float_noise(kind: Any) -> None:
    # the mean of eight .1 is not .1 in floating point; the group has no signal all the same
    tree = table_tree(3, 2, seed=6)
    episodes = tree.episodes([0.1] * len(tree.sequences))
    moved = ascent(tree, build(kind, tree), [Pick(episodes[i % 7]) for i in range(8)])
    assert float(moved.abs().max()) == 0.0


@pytest.mark.matrix
@pytest.mark.usefixtures("path")
@pytest.mark.parametrize("kind", ["gpt2", "llama"])
@pytest.mark.parametrize("algorithm", [REINFORCE, RLOO, DrGRPO])
def test_a_real_transformer_has_the_same_expectations(kind: str, algorithm: Any) -> None:
    policy = transformer(kind, vocabulary=3)
    tree = Tree(policy, 2, end=0)
    rewards = rewards_of(tree)
    size = 1 if algorithm is REINFORCE else 2
    learner = build(algorithm, tree, **({"baseline_decay": None} if algorithm is REINFORCE else {}))
    factor = 0.5 / MAX_TOKENS if algorithm is DrGRPO else 1.0
    got = expected_ascent(tree, learner, rewards, size)
    assert relative(got, factor * tree.true_gradient(rewards)) < (1e-10 if kind == "gpt2" else 2e-4)
