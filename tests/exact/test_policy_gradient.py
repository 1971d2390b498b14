"""The expected gradient of every policy-gradient algorithm, summed over every group that the policy can sample."""

from __future__ import annotations

import math
from dataclasses import replace
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
from strop.types import Episode, Part, Pick, Unscored
from strop.verify.policy_gradient import MAX_TOKENS, build, normalised, rewards_of, slow_reference


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


@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_reinforce_without_baseline_is_the_policy_gradient(temperature: float) -> None:
    tree = table_tree(3, 3, temperature=temperature)
    rewards = rewards_of(tree)
    got = expected_ascent(tree, build(REINFORCE, tree, baseline_decay=None), rewards, 1)
    assert relative(got, tree.true_gradient(rewards)) < 1e-12


def test_reinforce_baseline_does_not_move_the_expectation_but_its_variance() -> None:
    tree = table_tree(3, 3)
    rewards = [r + 5.0 for r in rewards_of(tree)]
    spread = {}
    for baseline in (0.0, 5.0):
        algorithm = build(REINFORCE, tree, baseline_decay=None)
        algorithm.baseline = baseline
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


@pytest.mark.parametrize(("size", "vocabulary", "horizon"), [(2, 3, 2), (3, 3, 2), (2, 3, 3), (2, 2, 5)])
def test_rloo_is_the_policy_gradient(size: int, vocabulary: int, horizon: int) -> None:
    tree = table_tree(vocabulary, horizon, seed=2)
    rewards = rewards_of(tree)
    assert relative(expected_ascent(tree, build(RLOO, tree), rewards, size), tree.true_gradient(rewards)) < 1e-12


@pytest.mark.parametrize("size", [2, 3])
def test_dr_grpo_is_the_policy_gradient_times_a_known_factor(size: int) -> None:
    # a sample stands in its own mean: the factor is (G - 1) / G, over the constant length
    tree = table_tree(3, 2, seed=3)
    rewards = rewards_of(tree)
    got = expected_ascent(tree, build(DrGRPO, tree), rewards, size)
    assert relative(got, (size - 1) / size * tree.true_gradient(rewards) / MAX_TOKENS) < 1e-12
    given = expected_ascent(tree, build(DrGRPO, tree, max_tokens=2), rewards, size)
    assert relative(given, (size - 1) / size * tree.true_gradient(rewards) / 2) < 1e-12


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


@pytest.mark.parametrize("size", [2, 3])
def test_grpo_equals_the_slow_reference_and_is_biased_by_length(size: int) -> None:
    tree = table_tree(3, 3 if size == 2 else 2, seed=5)
    rewards = rewards_of(tree)
    got = expected_ascent(tree, build(GRPO, tree), rewards, size)
    assert relative(got, slow_reference(tree, rewards, size, normalised, by_length=True)) < 1e-12
    assert cosine(got, tree.true_gradient(rewards)) < 1 - 1e-6
    binary = [float(r > 0) for r in rewards]
    assert cosine(expected_ascent(tree, build(GRPO, tree), binary, size), tree.true_gradient(binary)) < 1 - 1e-6


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


@pytest.mark.parametrize("discount_state", [False, True])
def test_discount_state_is_the_factor_that_the_discounted_gradient_needs(discount_state: bool) -> None:
    # J = E[sum_t .5^t r_t] with a reward a token. grad J needs discount^t before grad log pi (W11); without it the
    # expectation is sum_t E[grad log pi_t G_t], which differs.
    tree = table_tree(3, 3, seed=8)
    generator = torch.Generator().manual_seed(3)
    reward = {(*s, a): float(torch.randn((), generator=generator)) for s in tree.states for a in range(3)}

    def with_rewards(one: Episode) -> Episode:
        y = one.turns[0].completion.tokens
        per_token = tuple(reward[y[: t + 1]] for t in range(len(y)))
        return replace(one, parts={"r": Part(1.0, math.fsum(per_token), tokens=per_token)})

    episodes = [with_rewards(one) for one in tree.episodes([0.0] * len(tree.sequences))]
    algorithm = build(REINFORCE, tree, baseline_decay=None, discount=0.5, discount_state=discount_state)
    got = sum(p * ascent(tree, algorithm, [Pick(episodes[i])]) for p, (i,) in tree.tuples(1))
    discounted = [sum(0.5**t * reward[y[: t + 1]] for t in range(len(y))) for y in tree.sequences]
    true = tree.true_gradient(discounted)
    distributions = tree.distributions()
    probs = tree.probabilities(distributions).detach()
    usual = torch.zeros(())
    for p, y in zip(probs, tree.sequences, strict=True):
        for t in range(len(y)):
            to_go = sum(0.5 ** (k - t) * reward[y[: k + 1]] for k in range(t, len(y)))
            usual = usual + p * distributions[y[:t]][y[t]] * to_go
    expected, other = (true, tree.gradient(usual)) if discount_state else (tree.gradient(usual), true)
    assert relative(got, expected) < 1e-12
    assert relative(got, other) > 1e-2


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
