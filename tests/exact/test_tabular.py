"""SARSA, expected SARSA and double Q-learning against values in closed form, and each other's mistakes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from exact.build import batch_of, episode, turn
from exact.text_worlds import WORDS, PaidWords, q, train
from strop.algorithms.double_q import DoubleQ
from strop.algorithms.expected_sarsa import ExpectedSARSA
from strop.algorithms.q_learning import QLearning
from strop.algorithms.sarsa import SARSA
from strop.batch import collate
from strop.policies.table import Table
from strop.schedules import Linear
from strop.types import Batch, End, Pick, Sampling, Task

pytestmark = pytest.mark.matrix

GREEDY = Sampling(temperature=0.0)


def two_words(kind: Any, steps: int, sampling: Sampling, **fields: Any) -> dict[str, float]:
    policy, codec = train(PaidWords, WORDS, [Task("0", "")], steps, 16, 1, sampling=sampling, kind=kind, **fields)
    return {context + word: q(policy, codec, context, word) for context in "xy" for word in ("one", "two")}


# One of four words pays 1 and one pays 2 in either context: V = mean reward / (1 - discount), Q = r + discount V.
#   uniform distribution                mean .75,   V = 1.5 at discount .5
#   epsilon .3, best is "two"  distribution .775 on "two", .075 on the others: mean .775 * 2 + .075 = 1.625, V = 3.25
@pytest.mark.parametrize(("sampling", "value"), [
    (Sampling(epsilon=1.0, max_tokens=1), 1.5),
    (Sampling(temperature=0.0, epsilon=0.3, max_tokens=1), 3.25),
])  # fmt: skip
def test_expected_sarsa_reaches_the_values_of_the_distribution_that_acts(sampling: Sampling, value: float) -> None:
    got = two_words(ExpectedSARSA, 8, sampling, rate=1.0, discount=0.5)
    for place, number in got.items():
        assert number == pytest.approx((1 if "one" in place else 2) + 0.5 * value, abs=1e-6)


@pytest.mark.parametrize(("target", "value"), [
    (Sampling(temperature=0.0), 4.0),  # V* = 2 / (1 - .5): Q-learning
    (Sampling(temperature=0.0, epsilon=0.3), 3.25),
])  # fmt: skip
def test_expected_sarsa_learns_the_values_of_its_target_off_policy(target: Sampling, value: float) -> None:
    uniform = Sampling(epsilon=1.0, max_tokens=1)
    got = two_words(ExpectedSARSA, 8, uniform, rate=1.0, discount=0.5, target=target)
    for place, number in got.items():
        assert number == pytest.approx((1 if "one" in place else 2) + 0.5 * value, abs=1e-6)


def test_exploration_that_dies_out_leaves_the_optimum() -> None:
    # epsilon falls from 1 to 0 in 2 steps; then only "two" is said, and Q(two) = 2 + .9 Q(two) = 20
    fading = Sampling(temperature=0.0, epsilon=Linear(start=1.0, end=0.0, steps=2), max_tokens=1)
    got = two_words(ExpectedSARSA, 6, fading, rate=1.0, discount=0.9)
    assert got["xtwo"] == pytest.approx(20.0, abs=1e-6)
    assert got["ytwo"] == pytest.approx(20.0, abs=1e-6)


def test_double_q_reaches_the_two_word_values() -> None:
    got = two_words(DoubleQ, 8, Sampling(epsilon=1.0, max_tokens=1), rate=1.0, discount=0.5)
    for place, number in got.items():
        assert number == pytest.approx(3.0 if "one" in place else 4.0, abs=1e-5)  # 2 / (1 - .5), 1 + .5 * 4


# ------------------------------------------------------------ one correction by hand

S, NEXT = (2,), (2, 1, 2)


def learner(kind: Any, sampling: Sampling = GREEDY, **fields: float) -> tuple[Table, Any]:
    """Q(S) = 0, Q(NEXT) = (3, 8)."""
    policy = Table(3, capacity=8)
    with torch.no_grad():
        policy.weight[policy.row(NEXT), :2] = torch.tensor([3.0, 8.0], dtype=torch.float64)
    return policy, kind.Config(**({"rate": 1.0, "discount": 0.5} | fields)).build(policy, sampling, 4096)


def walk(next_action: int, end: End = End.TERMINATED, version: int = 0) -> Batch:
    """Action 1 in S pays 2; then `next_action` in NEXT pays 7."""
    one = episode(
        turn(S, (1,), reward=2.0), turn(NEXT, (next_action,), reward=7.0), end=end,
        final=() if end is End.TERMINATED else S,
    )  # fmt: skip
    return batch_of(replace(one, version=version), layout="per_turn")


@pytest.mark.parametrize(("kind", "target"), [
    (QLearning, 2 + 0.5 * 8),
    (SARSA, 2 + 0.5 * 3),  # the action that was taken, not the best
    (ExpectedSARSA, 2 + 0.5 * (0.6 * 8 + 0.2 * 3 + 0.2 * 0)),  # epsilon .6 of three words: .2 each, .6 on the best
    (DoubleQ, (2 + 0.5 * 8) / 2),  # the policy holds the mean of a corrected and an untouched table
])  # fmt: skip
def test_one_correction_by_hand(kind: Any, target: float) -> None:
    policy, algorithm = learner(kind, Sampling(temperature=0.0, epsilon=0.6))
    update = algorithm.update(walk(next_action=0))
    assert policy.weight[policy.row(S), 1].item() == pytest.approx(target)
    last = 7.0 if kind is not DoubleQ else (7.0 + 3.0) / 2
    assert policy.weight[policy.row(NEXT), 0].item() == pytest.approx(last)  # terminal: r alone
    assert update.priority_K is not None
    assert update.priority_K.tolist() == [pytest.approx(max(2 * target if kind is DoubleQ else target, 4.0))]


@pytest.mark.parametrize("order", [None, 1, 2, 5])
def test_a_decision_is_corrected_where_the_table_reads_it(order: int | None) -> None:
    """Contexts shorter and longer than the table's order, in rows of different lengths."""
    policy = Table(4, order=order)
    algorithm = QLearning.Config(rate=1.0, discount=0.0).build(policy, GREEDY, micro_tokens=64)
    algorithm.update(batch_of(episode(turn((1,), (2, 3), reward=5.0)), episode(turn((3, 1, 2), (1,), reward=7.0))))
    before = {(1,): 2, (1, 2): 3, (3, 1, 2): 1}
    logits_BV, _ = policy.prefill(list(before))
    value = dict(zip(before, logits_BV.tolist(), strict=True))
    # the two-token context and the three-token one are the same to a table that reads at most two
    assert value[3, 1, 2][1] == 7.0
    assert value[1, 2][3] == 5.0
    assert value[1,] == [0.0, 0.0, 0.0, 0.0]
    assert len(policy.contexts) == {None: 3, 1: 2, 2: 2, 5: 3}[order]


def test_sarsa_leaves_a_decision_without_a_next_action_alone() -> None:
    policy, algorithm = learner(SARSA)
    update = algorithm.update(walk(next_action=0, end=End.TRUNCATED))
    assert policy.weight[policy.row(NEXT), 0].item() == 3.0
    assert algorithm.tables[0].visits_RV.sum().item() == 1
    assert update.metrics["q/error_mean"].count == 1
    for kind in (ExpectedSARSA, QLearning):  # these need none: r + .5 max Q(S) with Q(S, 1) = 6 by now
        policy, algorithm = learner(kind)
        algorithm.update(walk(next_action=0, end=End.TRUNCATED))
        assert policy.weight[policy.row(NEXT), 0].item() == 7.0 + 0.5 * 6


def test_expected_sarsa_resolves_schedules_at_the_step_that_was_played() -> None:
    # epsilon at step 3 of 4 from 1 to 0 is .25: (.25 / 3) (3 + 8 + 0) + .75 * 8
    sampling = Sampling(temperature=0.0, epsilon=Linear(start=1.0, end=0.0, steps=4))
    policy, algorithm = learner(ExpectedSARSA, sampling)
    algorithm.update(walk(next_action=0, version=3))
    assert policy.weight[policy.row(S), 1].item() == pytest.approx(2 + 0.5 * (0.25 * 11 / 3 + 0.75 * 8))


def test_a_picks_weight_scales_the_correction() -> None:
    policy, algorithm = learner(QLearning, rate=0.5)
    batch = walk(next_action=0)
    algorithm.update(replace(batch, weight_E=torch.tensor([0.25], dtype=torch.float64)))
    assert policy.weight[policy.row(S), 1].item() == 0.25 * 0.5 * 6


# ------------------------------------------------------------ maximisation bias

NUM_ACTIONS, SAMPLES, REPEATS = 10, 4, 40
MEAN_OF_LARGEST = 1.53875  # of ten standard normal numbers (Harter 1961)


def value_before_noise(kind: Any) -> float:
    """Mean over REPEATS of the target for entering a state whose actions all pay N(-.1, 1) and end."""
    rng = np.random.default_rng(0)
    total = 0.0
    for _ in range(REPEATS):
        policy = Table(NUM_ACTIONS, capacity=4)
        algorithm = kind.Config(rate=1.0, rate_decay=1.0, discount=1.0).build(policy, GREEDY, 4096)
        noise = rng.normal(-0.1, 1.0, (SAMPLES, NUM_ACTIONS))
        tries = [episode(turn((2,), (a,), reward=float(row[a]))) for row in noise for a in range(NUM_ACTIONS)]
        algorithm.update(batch_of(*tries, layout="per_turn"))
        enter = batch_of(episode(turn((1,), (0,)), end=End.TRUNCATED, final=(2,)), layout="per_turn")
        total += algorithm.update(enter).per_token["td_error"].sum().item()
    return total / REPEATS


def test_the_maximum_of_noisy_means_is_biased_and_double_q_is_not() -> None:
    # every Q is a mean of 4 rewards (double: of 2 in each table). Q-learning: E max = -.1 + 1.539 / 2 = .67, whose own
    # spread is .587 / 2 a repeat. Double: -.1, with a spread of sqrt(1 / 2) a repeat. Bands of 4 standard errors.
    assert value_before_noise(QLearning) == pytest.approx(-0.1 + MEAN_OF_LARGEST / 2, abs=4 * 0.294 / REPEATS**0.5)
    assert value_before_noise(DoubleQ) == pytest.approx(-0.1, abs=4 * 0.707 / REPEATS**0.5)


def test_double_q_corrects_both_tables_equally_often() -> None:
    policy, algorithm = learner(DoubleQ)
    algorithm.update(batch_of(*(episode(turn(S, (1,), reward=float(r))) for r in range(6)), layout="per_turn"))
    first, second = algorithm.tables
    assert first.visits_RV.sum().item() == second.visits_RV.sum().item() == 3
    assert [table.q_RV[policy.row(S), 1].item() for table in algorithm.tables] == [4.0, 5.0]  # rate 1: the last
    assert policy.weight[policy.row(S), 1].item() == 4.5


@pytest.mark.parametrize("kind", [QLearning, SARSA, ExpectedSARSA, DoubleQ])
def test_tables_only_and_rates_in_range(kind: Any) -> None:
    with pytest.raises(ValueError, match="tabular"):
        kind.Config().build(object(), GREEDY, 64)
    for field in ("rate", "rate_decay", "discount"):
        with pytest.raises(ValueError, match=rf"algorithm\.{field}"):
            kind.Config(**{field: 1.5})


def test_a_pick_of_some_turns_bootstraps_where_it_ends() -> None:
    policy, algorithm = learner(QLearning)
    one = episode(turn(S, (1,), reward=2.0), turn(NEXT, (0,), reward=7.0))
    algorithm.update(collate((Pick(one, turn=0, length=1),), "per_turn"))
    assert policy.weight[policy.row(S), 1].item() == 2 + 0.5 * 8
