"""Preference losses at their population minimisers, by enumeration of every pair of sequences and every label."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
import torch
from torch import Tensor

from exact.build import batch_of, episode, flat, turn
from exact.tree import PROMPT, Tree, ascent, built_at, random_weights, relative, set_weights, table_tree
from strop.algorithms.distillation import Distillation
from strop.algorithms.dpo import DPO
from strop.algorithms.ipo import IPO
from strop.algorithms.kto import KTO
from strop.algorithms.orpo import ORPO
from strop.algorithms.reward_model import RewardModel
from strop.algorithms.robust_dpo import RobustDPO
from strop.algorithms.simpo import SimPO
from strop.functional.preferences import log1mexp, log_odds, mismatched, ordered_pairs
from strop.optimizer import SGD
from strop.policies.table import Table
from strop.types import Pick, Sampling, Unscored

BETA = 0.7


def sigmoid(x: float) -> float:
    return 1.0 / (1.0 + math.exp(-x))


def weights_of(tree: Tree, mass: dict[Any, float]) -> Tensor:
    """The table's numbers whose law over sequences is proportional to `mass`: log sums of mass below each token."""
    best = tree.policy.weight.detach().clone()
    for state in tree.states:
        for token in range(tree.policy.vocabulary):
            prefix = (*state, token)
            below = math.fsum(m for y, m in mass.items() if y[: len(prefix)] == prefix)
            best[tree.policy.contexts[PROMPT + state], token] = math.log(below)
    return best.flatten()


def population(tree: Tree, law: list[float], wins: Any) -> list[Pick]:
    """Every ordered pair of different sequences i, j as a group: i is chosen with probability wins(i, j)."""
    picks = []
    for group, (i, j) in enumerate(itertools.permutations(range(len(tree.sequences)), 2)):
        weight = law[i] * law[j] * wins(i, j)
        for k, reward in ((i, 1.0), (j, 0.0)):
            one = episode(turn(PROMPT, tree.sequences[k], None), reward=reward, group=group)
            picks.append(Pick(one, weight=weight))
    return picks


@pytest.fixture(scope="module")
def world() -> Any:
    """A tree, a reference, rewards, and a law mu that the compared answers are drawn from."""
    tree = table_tree(3, 2, seed=0)
    reference = random_weights(tree.policy, seed=1)
    set_weights(tree.policy, random_weights(tree.policy, seed=5))
    mu = tree.probabilities(tree.laws()).tolist()
    set_weights(tree.policy, reference)
    ref = tree.probabilities(tree.laws()).tolist()
    rewards = random_weights(tree.policy, seed=2)[: len(tree.sequences)].tolist()
    return tree, reference, ref, mu, rewards


def gradient_at(world: Any, config: Any, picks: list[Pick], weights: Tensor) -> float:
    tree, reference, *_ = world
    algorithm = built_at(tree, reference, lambda: config.build(tree.policy, Sampling(), 10**9))
    set_weights(tree.policy, weights)
    return float(ascent(tree, algorithm, picks).norm()) * len(picks)


def test_dpo_is_smallest_at_the_kl_regularised_optimum_under_bradley_terry_labels(world: Any) -> None:
    tree, reference, ref, mu, rewards = world
    picks = population(tree, mu, lambda i, j: sigmoid(rewards[i] - rewards[j]))
    boltzmann = {y: p * math.exp(r / BETA) for y, p, r in zip(tree.sequences, ref, rewards, strict=True)}
    best = weights_of(tree, boltzmann)
    config = DPO.Config(optimizer=SGD(lr=1.0), beta=BETA)
    assert gradient_at(world, config, picks, best) < 1e-12
    assert gradient_at(world, config, picks, reference) > 1e-2
    assert gradient_at(world, DPO.Config(optimizer=SGD(lr=1.0), beta=BETA, smoothing=0.1), picks, best) > 1e-3
    assert gradient_at(world, DPO.Config(optimizer=SGD(lr=1.0), beta=1.1 * BETA), picks, best) > 1e-3


def test_robust_dpo_finds_the_clean_optimum_under_flipped_labels_and_dpo_does_not(world: Any) -> None:
    tree, _, ref, mu, rewards = world

    def wins(i: int, j: int) -> float:
        clean = sigmoid(rewards[i] - rewards[j])
        return 0.8 * clean + 0.2 * (1.0 - clean)

    picks = population(tree, mu, wins)
    best = weights_of(tree, {y: p * math.exp(r / BETA) for y, p, r in zip(tree.sequences, ref, rewards, strict=True)})
    robust = RobustDPO.Config(optimizer=SGD(lr=1.0), beta=BETA, flipped=0.2)
    assert gradient_at(world, robust, picks, best) < 1e-12
    assert gradient_at(world, DPO.Config(optimizer=SGD(lr=1.0), beta=BETA), picks, best) > 1e-3


def test_conservative_dpo_fits_labels_that_are_smoothed(world: Any) -> None:
    # labels that are certain, smoothed by e, are labels that win with probability 1 - e: a reward gap of log((1-e)/e)
    tree, reference, _, _, _ = world
    e = 0.2
    pair = [episode(turn(PROMPT, y, None), reward=r) for y, r in zip(tree.sequences[:2], (1.0, 0.0), strict=True)]
    config = DPO.Config(optimizer=SGD(lr=1.0), beta=BETA, smoothing=e)
    algorithm = built_at(tree, reference, lambda: config.build(tree.policy, Sampling(), 4096))
    set_weights(tree.policy, reference)
    for _ in range(80):
        algorithm.optimizer.inner.param_groups[0]["lr"] = 2.0
        algorithm.update(batch_of(*pair, layout="per_turn"))
    after = [p.sum().item() for p in tree.logprobs(tree.laws())[:2]]
    set_weights(tree.policy, reference)
    before = [p.sum().item() for p in tree.logprobs(tree.laws())[:2]]
    margin = BETA * ((after[0] - before[0]) - (after[1] - before[1]))
    assert margin == pytest.approx(math.log((1 - e) / e), abs=1e-6)


def test_ipo_is_smallest_where_the_winning_probability_stands_in_the_exponent(world: Any) -> None:
    tree, reference, ref, mu, _ = world
    n, tau = len(tree.sequences), 0.5
    # preferences that no reward explains: a cycle beside noise
    noise = torch.rand(n, n, generator=torch.Generator().manual_seed(3), dtype=torch.float64).tolist()

    def wins(i: int, j: int) -> float:
        return noise[i][j] if i < j else 1.0 - noise[j][i]

    def beats_mu(i: int) -> float:
        return math.fsum(mu[j] * (0.5 if i == j else wins(i, j)) for j in range(n))

    picks = population(tree, mu, wins)
    best = weights_of(tree, {y: ref[i] * math.exp(beats_mu(i) / tau) for i, y in enumerate(tree.sequences)})
    config = IPO.Config(optimizer=SGD(lr=1.0), tau=tau)
    assert gradient_at(world, config, picks, best) < 1e-11
    assert gradient_at(world, config, picks, reference) > 1e-1


def test_distillation_is_the_token_local_reverse_kl_to_the_teacher() -> None:
    # sequences of one length, so that the mean over tokens has a constant denominator; batches of every single sample
    tree = table_tree(3, 3, seed=0, end=None)
    teacher = Table(3, capacity=64)
    for state in tree.states:
        teacher.row(PROMPT + state)
    set_weights(teacher, random_weights(teacher, seed=9))

    class Teacher:
        def build(self, seed: int, dtype: str) -> tuple[Table, None]:
            return teacher, None

    algorithm = Distillation.Config(optimizer=SGD(lr=1.0), teacher=Teacher()).build(tree.policy, Sampling(), 4096)
    laws, wanted = tree.laws(), tree.laws(teacher)
    visits = {s: v.detach() for s, v in tree.visits(laws).items()}
    kl = sum(visits[s] * (laws[s].exp() * (laws[s] - wanted[s].detach())).sum() for s in tree.states) / 3
    expected = -tree.gradient(kl)
    episodes = tree.episodes([0.0] * len(tree.sequences))
    got = torch.zeros_like(expected)
    for p, one in zip(tree.probabilities(tree.laws()).tolist(), episodes, strict=True):
        got += p * ascent(tree, algorithm, [Pick(one)])
    assert relative(got, expected) < 1e-12
    set_weights(tree.policy, flat(teacher.parameters())[: tree.policy.weight.numel()])
    same = tree.episodes([0.0] * len(tree.sequences))
    assert float(ascent(tree, algorithm, [Pick(one) for one in same]).abs().max()) < 1e-15


# ------------------------------------------------------------ KTO


@pytest.mark.parametrize("sign", [1.0, -1.0], ids=["z0 above 0", "z0 cut at 0"])
def test_kto_equals_a_slow_reference_with_its_mismatched_pairs(sign: float) -> None:
    """Three prompts; l of every answer behind the next prompt, read one sequence at a time from the table's rows."""
    answers = {1: [((2, 0), 1.0), ((0,), 0.0)], 2: [((1, 1, 0), 0.0)], 3: [((0,), 1.0), ((2, 2), Unscored("x"))]}
    policy = Table(3, capacity=64)
    prefixes = [
        (prompt, *answer[:t])
        for prompt in answers
        for group in answers.values()
        for answer, _ in group
        for t in range(len(answer))
    ]
    for prefix in prefixes:
        policy.row(prefix)
    start = random_weights(policy, seed=1, scale=2.0)
    set_weights(policy, start)
    config = KTO.Config(optimizer=SGD(lr=1.0), beta=0.5, desirable=1.3, undesirable=0.7)
    algorithm = config.build(policy, Sampling(), 8)
    reference = policy.weight.detach().clone()
    set_weights(policy, start + sign * random_weights(policy, seed=2))
    rows = policy.contexts

    def ratio(prompt: int, answer: Any) -> Tensor:
        terms = []
        for t, token in enumerate(answer):
            row = rows[prompt, *answer[:t]]
            terms.append(torch.log_softmax(policy.weight[row], -1)[token])
            terms.append(-torch.log_softmax(reference[row], -1)[token])
        return torch.stack(terms).sum()

    scored = [(p, y, r) for p, group in answers.items() for y, r in group if not isinstance(r, Unscored)]
    following = {1: 2, 2: 3, 3: 1}
    mean = sum(ratio(following[p], y).item() for p, y, _ in scored) / 4
    assert mean * sign > 0.01
    z0 = max(0.0, mean)
    losses = []
    for p, y, r in scored:
        gain = 0.5 * (ratio(p, y) - z0)
        losses.append(1.3 * (1 - torch.sigmoid(gain)) if r > 0.5 else 0.7 * (1 - torch.sigmoid(-gain)))
    loss = torch.stack(losses).mean()
    (expected,) = torch.autograd.grad(loss, policy.parameters())
    batch = batch_of(
        *(episode(turn((p,), y, None), reward=r, group=p) for p, group in answers.items() for y, r in group),
        layout="per_turn",
    )
    before = policy.weight.detach().clone()
    update = algorithm.update(batch)
    assert update.metrics["preference/baseline"].value == pytest.approx(z0, abs=1e-14)
    assert update.metrics["optimizer/loss"].value == pytest.approx(loss.item(), abs=1e-14)
    assert torch.allclose(before - policy.weight.detach(), expected, atol=1e-15)


def test_mismatched_answers_by_hand() -> None:
    batch = batch_of(
        episode(turn((1, 2, 3), (4, 5), None), group=7),
        episode(turn((6,), (8,), None), group=3),
        episode(turn((1, 2, 3), (9,), None), group=7),
    )
    other = mismatched(batch)
    assert other is not None
    assert other.tokens_BT[:, :5].tolist() == [[6, 4, 5, 0, 0], [1, 2, 3, 8, 0], [6, 9, 0, 0, 0]]
    assert other.action_BT[:, :5].int().tolist() == [[0, 1, 1, 0, 0], [0, 0, 0, 1, 0], [0, 1, 0, 0, 0]]
    assert mismatched(batch_of(episode(turn((1,), (2,), None)), episode(turn((1,), (3,), None)))) is None


# ------------------------------------------------------------ pieces


def test_pairs_are_strictly_ordered_and_each_prompt_counts_once() -> None:
    # group 0: returns 2, 1, 1 and one Unscored -> 2 pairs; group 1: a tie -> none; group 2: one pair; group 3: one
    # member without an action -> none
    rewards = [(0, 2.0), (0, 1.0), (0, 1.0), (0, Unscored("x")), (1, 5.0), (1, 5.0), (2, 0.0), (2, 3.0)]
    episodes = [episode(turn((1,), (2,), None), reward=r, group=g) for g, r in rewards]
    episodes += [episode(turn((1,), (), None), reward=9.0, group=3), episode(turn((1,), (2,), None), group=3)]
    pairs = ordered_pairs(batch_of(*episodes))
    got = {
        (c, r): w
        for c, r, w in zip(pairs.chosen_P.tolist(), pairs.rejected_P.tolist(), pairs.weight_P.tolist(), strict=True)
    }
    assert got == {(0, 1): 0.25, (0, 2): 0.25, (7, 6): 0.5}


def test_log1mexp_and_log_odds_keep_their_digits() -> None:
    for x in (-1e-12, -1e-5, -0.3, -0.7, -5.0, -40.0):
        expected = math.log(-math.expm1(x)) if x > -0.5 else math.log1p(-math.exp(x))
        assert log1mexp(torch.tensor(x, dtype=torch.float64)).item() == pytest.approx(expected, rel=1e-14)
    half = torch.tensor(math.log(0.8), dtype=torch.float64, requires_grad=True)
    odds = log_odds(half)
    odds.backward()
    assert odds.item() == pytest.approx(math.log(4))
    assert half.grad.item() == pytest.approx(5.0)  # 1 / (1 - p)
    one = torch.zeros((), requires_grad=True)  # float32, probability 1: large, finite, no push further
    log_odds(one).backward()
    assert math.isfinite(log_odds(one).item())
    assert one.grad.item() == 0.0


# ------------------------------------------------------------ Bradley-Terry


def tournament(wins: dict[tuple[int, int], int]) -> list[Pick]:
    """Every game as a pair of one-token answers: token i beats token j wins[i, j] times."""
    picks = []
    for group, ((i, j), n) in enumerate(wins.items()):
        for token, reward in ((i, 1.0), (j, 0.0)):
            picks.append(Pick(episode(turn((9,), (token,), None), reward=reward, group=group), weight=float(n)))
    return picks


def fitted(wins: dict[tuple[int, int], int], items: int, steps: int, **fields: Any) -> list[float]:
    """The scores that full-batch descent of the reward model ends at."""
    from strop.batch import collate

    policy = Table(10, capacity=16, value_head=True)
    algorithm = RewardModel.Config(optimizer=SGD(lr=1.0), **fields).build(policy, Sampling(), 4096)
    algorithm.optimizer.inner.param_groups[0]["lr"] = 4.0 * len(wins) / sum(wins.values())
    batch = collate(tuple(tournament(wins)), "per_turn")
    for _ in range(steps):
        algorithm.update(batch)
    assert policy.value is not None
    return [policy.value[policy.row((9, token))].item() for token in range(items)]


@pytest.mark.parametrize(("won", "played"), [(3, 4), (9, 10), (1, 5)])
def test_two_items_end_at_the_log_odds_of_winning(won: int, played: int) -> None:
    first, second = fitted({(0, 1): won, (1, 0): played - won}, 2, 40, centring=0.01)
    assert first - second == pytest.approx(math.log(won / (played - won)), abs=1e-8)
    assert first + second == pytest.approx(0.0, abs=1e-8)  # the centring penalty fixes the level, and nothing else


def test_a_tournament_of_three_ends_at_the_maximum_likelihood() -> None:
    # independent: Zermelo's iteration (Hunter 2004), p_i <- W_i / sum_j n_ij / (p_i + p_j)
    wins = {(0, 1): 4, (1, 0): 2, (1, 2): 5, (2, 1): 1, (2, 0): 2, (0, 2): 3}
    p = [1.0, 1.0, 1.0]
    for _ in range(5000):
        total = [sum(n for (i, _), n in wins.items() if i == k) for k in range(3)]
        p = [total[k] / sum((wins[k, j] + wins[j, k]) / (p[k] + p[j]) for j in range(3) if j != k) for k in range(3)]
    scores = fitted(wins, 3, 100, centring=0.0)
    for i, j in ((0, 1), (1, 2)):
        assert scores[i] - scores[j] == pytest.approx(math.log(p[i] / p[j]), abs=1e-8)


def test_the_margin_is_asked_for_by_the_difference_of_returns() -> None:
    # at scores 0 the loss is log(1 + e^(margin * difference)): returns 3 and 1, margin .5
    policy = Table(10, capacity=16, value_head=True)
    algorithm = RewardModel.Config(optimizer=SGD(lr=1.0), margin=0.5, centring=0.0).build(policy, Sampling(), 4096)
    batch = batch_of(
        episode(turn((9,), (1, 2), None), reward=3.0), episode(turn((9,), (2,), None), reward=1.0), layout="per_turn"
    )
    update = algorithm.update(batch)
    assert update.metrics["optimizer/loss"].value == pytest.approx(math.log1p(math.e))
    slope = sigmoid(1.0)  # and the scores move by the sigmoid, at the prefix that holds the LAST token
    assert policy.value is not None
    moved = {prefix: policy.value[row].item() for prefix, row in policy.contexts.items()}
    assert moved[9, 1, 2] == pytest.approx(slope)
    assert moved[9, 2] == pytest.approx(-slope)
    assert all(value == 0.0 for prefix, value in moved.items() if prefix not in ((9, 1, 2), (9, 2)))


# ------------------------------------------------------------ slow references


def naive_sigmoid(x: Tensor) -> Tensor:
    return 1 / (1 + torch.exp(-x))


def odds(mean: Tensor) -> Tensor:
    return torch.exp(mean) / (1 - torch.exp(mean))


SLOW: list[Any] = [
    (DPO, {"beta": 0.4}, lambda w, v, rw, rv, n, m: -torch.log(naive_sigmoid(0.4 * (w - rw - v + rv)))),
    (
        DPO,
        {"beta": 0.4, "smoothing": 0.2},
        lambda w, v, rw, rv, n, m: (
            -0.8 * torch.log(naive_sigmoid(0.4 * (w - rw - v + rv)))
            - 0.2 * torch.log(naive_sigmoid(-0.4 * (w - rw - v + rv)))
        ),
    ),
    (
        RobustDPO,
        {"beta": 0.4, "flipped": 0.2},
        lambda w, v, rw, rv, n, m: (
            (
                -0.8 * torch.log(naive_sigmoid(0.4 * (w - rw - v + rv)))
                + 0.2 * torch.log(naive_sigmoid(-0.4 * (w - rw - v + rv)))
            )
            / 0.6
        ),
    ),
    (IPO, {"tau": 0.3}, lambda w, v, rw, rv, n, m: (w - rw - v + rv - 1 / 0.6) ** 2),
    (
        SimPO,
        {"beta": 1.7, "gamma": 0.6},
        lambda w, v, rw, rv, n, m: -torch.log(naive_sigmoid(1.7 * (w / n - v / m) - 0.6)),
    ),
    (
        ORPO,
        {"weight": 0.3},
        lambda w, v, rw, rv, n, m: (
            -w / n - 0.3 * torch.log(naive_sigmoid(torch.log(odds(w / n)) - torch.log(odds(v / m))))
        ),
    ),
]


@pytest.mark.parametrize(("kind", "fields", "loss"), SLOW)
def test_pair_losses_equal_slow_references(kind: Any, fields: dict[str, Any], loss: Any) -> None:
    """Two prompts, three answers and two (and a tie) of several lengths; the policy stands away from its reference."""
    groups = {1: [((2, 0), 3.0), ((1, 1, 0), 1.0), ((0,), 2.0)], 2: [((2, 2, 0), 0.0), ((1, 0), 1.0), ((0,), 1.0)]}
    policy = Table(3, capacity=32)
    for prompt, group in groups.items():
        for answer, _ in group:
            for t in range(len(answer)):
                policy.row((prompt, *answer[:t]))
    start = random_weights(policy, seed=1)
    set_weights(policy, start)
    algorithm = kind.Config(optimizer=SGD(lr=1.0), **fields).build(policy, Sampling(temperature=0.5), 6)
    reference = policy.weight.detach().clone()
    set_weights(policy, start + random_weights(policy, seed=2))

    def logprob(weight: Tensor, prompt: int, answer: Any) -> Tensor:
        rows = policy.contexts
        return sum(torch.log_softmax(weight[rows[prompt, *answer[:t]]], -1)[y] for t, y in enumerate(answer))

    total = torch.zeros((), dtype=torch.float64)
    for prompt, group in groups.items():
        losses = [
            loss(
                *(logprob(policy.weight, prompt, y) for y in (w, v)),
                *(logprob(reference, prompt, y) for y in (w, v)),
                len(w),
                len(v),
            )
            for w, better in group
            for v, worse in group
            if better > worse
        ]
        total = total + torch.stack(losses).mean() / len(groups)
    (expected,) = torch.autograd.grad(total, policy.parameters())
    batch = batch_of(
        *(episode(turn((p,), y, None), reward=r, group=p) for p, group in groups.items() for y, r in group),
        layout="per_turn",
    )
    before = policy.weight.detach().clone()
    update = algorithm.update(batch)
    assert update.metrics["optimizer/loss"].value == pytest.approx(total.item(), abs=1e-13)
    assert torch.allclose(before - policy.weight.detach(), expected, atol=1e-14)
    assert update.metrics["preference/pairs"].value == 5
