"""What preference methods take from their settings and their picks, each seen in one step by hand."""

from __future__ import annotations

import math

import pytest
import torch

from exact.build import batch_of, episode, turn
from exact.coin import HALF, build, coin, pair
from strop.algorithms.kto import KTO
from strop.algorithms.online_dpo import OnlineDPO
from strop.algorithms.process_reward_model import ProcessRewardModel
from strop.algorithms.reward_model import RewardModel
from strop.batch import collate
from strop.optimizer import SGD
from strop.policies.table import Table
from strop.types import Part, Pick, Sampling


def test_online_dpo_compares_under_the_temperature_that_was_sampled_at() -> None:
    # at temperature 2 the slope of log pi on the logits is halved, and with it the step of test_steps.py: .5, -.25
    policy = coin()
    config = OnlineDPO.Config(optimizer=SGD(lr=1.0), beta=1.0)
    config.build(policy, Sampling(temperature=2.0, max_tokens=4), 4096).update(pair())
    assert policy.weight[:2].flatten().tolist() == pytest.approx([0.25, -0.25, -0.125, 0.125])


def test_online_dpo_refuses_answers_that_its_policy_did_not_write() -> None:
    written = [episode(turn((9,), (i,), None), reward=float(i), id=str(i)) for i in range(2)]
    with pytest.raises(ValueError, match="its own policy sampled"):
        build(OnlineDPO, coin()).update(batch_of(*written))


def test_kto_multiplies_the_weight_of_a_pick_by_that_of_its_kind() -> None:
    # one prompt, a fair coin, z0 = 0: the slope of sigmoid is 1/4, over 2 answers. Token 0 was liked (2 * .25), token 1
    # was not (3 * .5); both push row 0 along (.5, -.5)
    policy = coin()
    liked = Pick(episode(turn((9,), (0,), (HALF,)), reward=1.0), weight=0.25)
    other = Pick(episode(turn((9,), (1,), (HALF,)), reward=0.0), weight=0.5)
    algorithm = build(KTO, policy, beta=1.0, desirable=2.0, undesirable=3.0)
    algorithm.update(collate((liked, other), "per_turn"))
    push = (2 * 0.25 + 3 * 0.5) / 4 / 2 * 0.5
    assert policy.weight[0].tolist() == pytest.approx([push, -push])


def test_kto_reports_the_ratios_of_both_kinds() -> None:
    # the policy says 3/4 and 1/4 where its reference says 1/2
    policy = coin()
    algorithm = build(KTO, policy)
    with torch.no_grad():
        policy.weight[0, 0] = math.log(3)
    answers = [episode(turn((9,), (i,), (HALF,)), reward=1.0 - i, id=str(i)) for i in range(2)]
    metrics = algorithm.update(batch_of(*answers)).metrics
    assert metrics["preference/desirable_ratio"].value == pytest.approx(math.log(1.5))
    assert metrics["preference/undesirable_ratio"].value == pytest.approx(math.log(0.5))


def test_a_process_reward_model_takes_any_label_above_0_for_good_and_weighs_its_pick() -> None:
    # of two labelled steps each weighs .25 / 2. V = .25 behind the good one is right, by less than a half; its slope is
    # 1 - sigmoid(.25), and 1/2 behind the bad one, where V = 0
    policy = Table(2, capacity=8, value_head=True)
    good, bad = policy.row((9, 0)), policy.row((9, 0, 1))
    with torch.no_grad():
        policy.value[good] = 0.25
    one = episode(turn((9,), (0, 1)), parts={"steps": Part(1.0, -0.5, tokens=(0.5, -1.0))})
    update = build(ProcessRewardModel, policy).update(collate((Pick(one, weight=0.25),), "per_turn"))
    assert policy.value[good].item() == pytest.approx(0.25 + 0.125 / (1 + math.exp(0.25)))
    assert policy.value[bad].item() == pytest.approx(-0.125 / 2)
    assert update.metrics["preference/accuracy"].value == 1.0  # V = 0 calls no step good


def test_a_reward_model_counts_its_pairs() -> None:
    # three answers of different returns are three pairs, of four answers with a tie five
    for returns, num_pairs in (((1.0, 2.0, 3.0), 3), ((1.0, 2.0, 2.0, 3.0), 5)):
        answers = [episode(turn((9,), (i % 2,)), reward=r, id=str(i)) for i, r in enumerate(returns)]
        metrics = build(RewardModel, coin()).update(batch_of(*answers)).metrics
        assert metrics["preference/pairs"].value == num_pairs
