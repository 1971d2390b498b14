"""Preference losses and their pieces by hand. Optima over every pair and label are rows of `strop verify`."""

from __future__ import annotations

import math

import pytest
import torch

from exact.build import batch_of, episode, turn
from exact.tree import PROMPT, built_at, set_weights
from strop.algorithms.dpo import DPO
from strop.algorithms.reward_model import RewardModel
from strop.algorithms.simpo import SimPO
from strop.functional.preferences import log1mexp, log_odds, mismatched, ordered_pairs
from strop.optimizer import SGD
from strop.policies.table import Table
from strop.types import Sampling, Unscored
from strop.verify.preference_losses import pair_case
from strop.verify.preferences import BETA, world

pytestmark = pytest.mark.matrix


def test_conservative_dpo_fits_labels_that_are_smoothed() -> None:
    # labels that are certain, smoothed by e, are labels that win with probability 1 - e: a reward gap of log((1-e)/e)
    here, e = world(), 0.2
    tree, reference = here.tree, here.reference
    pair = [episode(turn(PROMPT, y, None), reward=r) for y, r in zip(tree.sequences[:2], (1.0, 0.0), strict=True)]
    config = DPO.Config(optimizer=SGD(lr=1.0), beta=BETA, smoothing=e)
    algorithm = built_at(tree, reference, lambda: config.build(tree.policy, Sampling(), 4096))
    set_weights(tree.policy, reference)
    for _ in range(80):
        algorithm.optimizer.inner.param_groups[0]["lr"] = 2.0
        algorithm.update(batch_of(*pair, layout="per_turn"))
    after = [p.sum().item() for p in tree.logprobs(tree.distributions())[:2]]
    set_weights(tree.policy, reference)
    before = [p.sum().item() for p in tree.logprobs(tree.distributions())[:2]]
    margin = BETA * ((after[0] - before[0]) - (after[1] - before[1]))
    assert margin == pytest.approx(math.log((1 - e) / e), abs=1e-6)


# ------------------------------------------------------------ KTO


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
        assert log1mexp(torch.tensor(x, dtype=torch.float64)).item() == pytest.approx(expected, rel=1e-14, abs=0.0)
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


def test_the_margin_is_asked_for_by_the_difference_of_returns() -> None:
    # at scores 0 the loss is log(1 + e^(margin * difference)): returns 3 and 1, margin .5
    policy = Table(10, capacity=16, value_head=True)
    algorithm = RewardModel.Config(optimizer=SGD(lr=1.0), margin=0.5, centring=0.0).build(policy, Sampling(), 4096)
    batch = batch_of(
        episode(turn((9,), (1, 2), None), reward=3.0), episode(turn((9,), (2,), None), reward=1.0), layout="per_turn"
    )
    update = algorithm.update(batch)
    assert update.metrics["optimizer/loss"].value == pytest.approx(math.log1p(math.e))
    slope = 1 / (1 + math.exp(-1.0))  # and the scores move by the sigmoid, at the prefix that holds the LAST token
    assert policy.value is not None
    moved = {prefix: policy.value[row].item() for prefix, row in policy.contexts.items()}
    assert moved[9, 1, 2] == pytest.approx(slope)
    assert moved[9, 2] == pytest.approx(-slope)
    assert all(value == 0.0 for prefix, value in moved.items() if prefix not in ((9, 1, 2), (9, 2)))


def test_every_strictly_ordered_pair_is_counted() -> None:
    _, update = pair_case(SimPO.Config(optimizer=SGD(lr=1.0)), lambda w, v: w.mean - v.mean).compare()
    assert update.metrics["preference/pairs"].value == 5
