"""Bounds, masks and metrics by hand, where a planted bug passed by every other test."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from exact.build import batch_of, episode, flat, turn
from exact.learners import as_baseline, learner
from strop.algorithms.cispo import cispo_loss
from strop.algorithms.dapo import DAPO
from strop.algorithms.ilql import ILQL, add_noise
from strop.algorithms.kto import KTO
from strop.algorithms.process_reward_model import ProcessRewardModel
from strop.algorithms.reinforce import REINFORCE
from strop.algorithms.remax import ReMax
from strop.algorithms.vtrace import _ratio_metrics
from strop.batch import collate
from strop.functional.aggregation import largest_per_pick
from strop.functional.corrections import Correction, correction_metrics, masked
from strop.functional.distributions import logprobs_of, require_full_support
from strop.functional.preferences import ordered_pairs
from strop.functional.ratios import clip_active
from strop.functional.returns import position_in_chain
from strop.functional.value_slots import add_value_slots
from strop.functional.values import explained_variance, vtrace
from strop.policies.table import Table
from strop.types import End, Part, Pick, Sampling, Turn, Unscored


def test_a_ratio_on_a_bound_is_kept() -> None:
    ratio = torch.tensor([0.25, 0.5, 1.0, 2.0, 4.0])
    assert masked(ratio, 0.5, 2.0).tolist() == [0.0, 0.5, 1.0, 2.0, 0.0]


def test_a_ratio_on_a_bound_of_cispo_is_not_outside() -> None:
    micro = batch_of(episode(turn((1,), (2, 3)), reward=1.0))
    logprobs_BT = torch.full(micro.tokens_BT.shape, -1.0, dtype=torch.float64)
    one_BT = torch.ones_like(logprobs_BT)
    for shift, expected in ((0.0, 0.0), (0.1, 1.0), (-0.1, 1.0)):
        _, metrics = cispo_loss(micro, logprobs_BT + shift, logprobs_BT, one_BT, one_BT, floor=1.0, cap=1.0)
        assert metrics["policy/ratio_outside"].value == expected


def test_a_ratio_on_the_cap_of_vtrace_is_not_cut() -> None:
    batch = batch_of(episode(turn((1,), (2, 3, 4)), reward=1.0))
    ratio_BT = torch.tensor([[9.0, 0.5, 1.0, 2.0]])
    metrics = _ratio_metrics(batch, ratio_BT, cap=1.0)
    assert metrics["policy/ratio_capped"].value == 1 / 3
    assert metrics["policy/ratio"].value == 3.5 / 3


def test_reading_behind_actions_widens_every_tensor_by_a_slot() -> None:
    batch = batch_of(episode(turn((1,), (2, 3), (-1.0, -2.0)), reward=1.0))
    wide = add_value_slots(batch, batch.action_BT)
    for name in ("tokens_BT", "action_BT", "logprobs_BT", "rewards_BT", "next_BT"):
        assert getattr(wide, name).shape == (1, 4), name
    assert wide.logprobs_BT[0, 1:3].tolist() == [-1.0, -2.0]
    assert wide.logprobs_BT[0, 3].isnan()
    assert wide.next_BT.tolist() == [[-1, 2, 3, -1]]
    assert (wide.tokens_BT[0, 3], wide.action_BT[0, 3], wide.rewards_BT[0, 3]) == (0, False, 0.0)


def test_the_greedy_answer_of_remax_has_no_advantage_of_its_own() -> None:
    batch = batch_of(
        episode(turn((1,), (2,)), reward=1.0, id="a"), as_baseline(episode(turn((1,), (3,)), reward=0.25, id="b"))
    )
    update = learner(ReMax, Table(5, capacity=16)).update(batch)
    assert update.per_token["advantage"][:, 1].tolist() == [0.75, 0.0]


def test_reinforce_keeps_its_baseline_where_nothing_was_scored() -> None:
    algorithm = learner(REINFORCE, Table(5, capacity=16), baseline_decay=0.5)
    algorithm.update(batch_of(episode(turn((1,), (2,)), reward=1.0)))
    algorithm.update(batch_of(episode(turn((1,), (2,)), reward=Unscored("lost"))))
    assert algorithm.state.value == 0.5


def test_kto_does_not_count_an_empty_answer() -> None:
    answers = [episode(turn((1,), (2,)), reward=1.0, id="a"), episode(turn((1,), (3,)), reward=0.0, id="b")]
    empty = episode(turn((1,), ()), reward=1.0, id="c")
    moved = []
    for episodes in (answers, [*answers, empty]):
        policy = Table(5, capacity=16)
        metrics = learner(KTO, policy).update(batch_of(*episodes)).metrics
        assert metrics["preference/baseline"].value == 0.0  # one prompt: there is no other one
        moved.append(flat(policy.parameters()))
    assert float(moved[0].abs().sum()) > 0.0
    assert torch.equal(*moved)


def test_kto_takes_a_return_on_the_threshold_for_undesirable() -> None:
    # one prompt of two words, a fair coin: the answer on the threshold is pushed down, the one above it up
    answers = [episode(turn((1,), (0,)), reward=0.75, id="on"), episode(turn((1,), (1,)), reward=1.0, id="above")]
    policy = Table(2, capacity=4)
    metrics = learner(KTO, policy, threshold=0.75).update(batch_of(*answers)).metrics
    assert policy.weight[0, 0] < 0 < policy.weight[0, 1]
    assert metrics["preference/desirable_ratio"].count == metrics["preference/undesirable_ratio"].count == 1
    on = Table(2, capacity=4)
    learner(KTO, on, threshold=0.75).update(batch_of(answers[0]))
    assert on.weight[0, 0] < 0


def test_kto_has_no_baseline_where_no_answer_counts() -> None:
    lost = [episode(turn((prompt,), (2,)), reward=Unscored("lost"), group=prompt) for prompt in (1, 3)]
    policy = Table(5, capacity=16)
    assert learner(KTO, policy).update(batch_of(*lost)).metrics["preference/baseline"].value == 0.0
    assert not flat(policy.parameters()).any()


def test_a_process_reward_model_that_is_undecided_calls_no_step_good() -> None:
    labels = {"steps": Part(1.0, 0.0, tokens=(1.0, -1.0))}
    algorithm = learner(ProcessRewardModel, Table(5, capacity=16, value_head=True))  # every value is 0
    metrics = algorithm.update(batch_of(episode(turn((1,), (2, 3)), parts=labels))).metrics
    assert metrics["preference/accuracy"].value == 0.5
    good = {"steps": Part(1.0, 0.0, tokens=(1.0, 1.0))}
    algorithm = learner(ProcessRewardModel, Table(5, capacity=16, value_head=True))
    assert (
        algorithm.update(batch_of(episode(turn((1,), (2, 3)), parts=good))).metrics["preference/accuracy"].value == 0.0
    )


def test_the_effective_sample_size_of_sequences_counts_answers_only() -> None:
    answers = [episode(turn((1,), (2, 2), (-1.0, -2.0)), reward=1.0, id="a"), episode(turn((1,), (3,), (0.0,)), id="b")]
    empty = episode(turn((1,), ()), reward=1.0, id="c")
    lost = episode(turn((1,), (4,), (-7.0,)), reward=Unscored("lost"), id="d")
    found = []
    for episodes in (answers, [*answers, empty], [*answers, lost]):
        batch = batch_of(*episodes, layout="per_turn")
        off_BT = torch.where(batch.action_BT, -batch.logprobs_BT, 0.0)  # the learner is sure of both tokens
        weight_BT = torch.ones_like(off_BT)
        found.append(correction_metrics(Correction(level="sequence"), off_BT, weight_BT, batch)["correction/ess"].value)
    assert found == pytest.approx([(math.e**3 + 1) ** 2 / (2 * (math.e**6 + 1))] * 3, rel=1e-14)
    token = correction_metrics(Correction(level="token"), off_BT, weight_BT, batch)["correction/ess"].value
    assert token == pytest.approx((math.e + math.e**2 + 1) ** 2 / (3 * (math.e**2 + math.e**4 + 1)), rel=1e-14)


def test_the_baseline_that_remax_reports_is_that_of_the_groups_that_have_one() -> None:
    lost = as_baseline(episode(turn((2,), (3,)), reward=Unscored("lost"), group=1))
    answers = [
        episode(turn((1,), (2,)), reward=1.0), as_baseline(episode(turn((1,), (3,)), reward=0.25)),
        episode(turn((2,), (2,)), reward=1.0, group=1), lost,
    ]  # fmt: skip
    update = learner(ReMax, Table(5, capacity=16)).update(batch_of(*answers, layout="per_turn"))
    assert update.metrics["policy/baseline"].value == 0.25


def test_an_answer_that_was_cut_has_no_advantage_in_dapo() -> None:
    cut = replace(episode(turn((1,), (2,)), reward=0.0), turns=(_cut(turn((1,), (2,))),))
    batch = batch_of(episode(turn((1,), (3,)), reward=1.0), cut, episode(turn((1,), (4,)), reward=0.5))
    advantage_BT = learner(DAPO, Table(5, capacity=16)).update(batch).per_token["advantage"]
    first, second, third = advantage_BT[batch.action_BT].tolist()
    assert (first, second, third) == (pytest.approx(1.0, abs=1e-3), 0.0, pytest.approx(0.0, abs=1e-12))


def _cut(one: Turn) -> Turn:
    return replace(one, completion=replace(one.completion, finish="length"))


def test_an_unscored_answer_has_no_error_in_ilql_and_comes_back_as_any_other() -> None:
    scored, lost = (episode(turn((p,), (0,)), reward=r, id=str(p)) for p, r in ((1, 2.0), (2, Unscored("lost"))))
    policy = Table(5, capacity=16, value_head=True)
    with torch.no_grad():
        policy.weight.fill_(7.0)
    update = learner(ILQL, policy).update(batch_of(scored, lost, layout="per_turn"))
    error_BT = update.per_token["td_error"]
    assert error_BT[:, 1].tolist() == [-5.0, 0.0]
    assert update.priority_K is not None
    assert update.priority_K.tolist() == [5.0, 0.0]


def test_the_largest_of_a_pick_is_that_of_its_actions() -> None:
    batch = batch_of(episode(turn((1, 1), (2, 3)), reward=1.0))
    value_BT = torch.tensor([[9.0, 9.0, 2.0, 1.0]], dtype=torch.float64)
    assert largest_per_pick(value_BT, batch).tolist() == [2.0]


def test_the_clip_is_active_where_it_stops_a_gradient_and_nowhere_else() -> None:
    ratio_N = torch.tensor([0.5, 0.5, 0.5, 2.0, 2.0, 2.0])
    advantage_N = torch.tensor([-1.0, 0.0, 0.5, 1.0, 0.0, -0.5])
    assert clip_active(ratio_N, advantage_N, 0.2, 0.2).tolist() == [True, False, False, True, False, False]
    assert clip_active(ratio_N, advantage_N, 0.2, 0.2, 1.5).tolist() == [True, False, False, True, False, True]


def test_the_variance_of_two_values_can_be_explained() -> None:
    pair = torch.tensor([0.0, 1.0], dtype=torch.float64)
    assert explained_variance(pair, pair) == 1.0
    assert math.isnan(explained_variance(pair[:1], pair[:1]))


def test_the_single_likeliest_token_is_a_nucleus() -> None:
    with pytest.raises(ValueError, match="top_k=1"):
        require_full_support(Sampling(top_k=1), "GRPO")
    probs_NV = logprobs_of(torch.tensor([[0.0, 2.0, 1.0]]), Sampling(top_k=1))
    assert probs_NV.tolist() == [[-math.inf, 0.0, -math.inf]]


def test_one_labelled_answer_is_a_whole_batch_of_kto_whatever_stands_beside_it() -> None:
    good = episode(turn((1,), (2,)), reward=1.0)
    lost = episode(turn((1,), (3,)), reward=Unscored("lost"))
    for micro_tokens in (1, 4096):
        algorithm = learner(KTO, Table(5, capacity=16), micro_tokens)
        with torch.no_grad():  # away from its reference: 2 and 3 are twice as likely as there
            algorithm.policy.weight[algorithm.policy.row((1,))] = torch.tensor([0.0, 0.0, 1.0, 1.0, 0.0])
        ratio = 1.0 - math.log((3 + 2 * math.e) / 5)
        metrics = algorithm.update(batch_of(good, lost, layout="per_turn")).metrics
        loss = 1.0 - 1.0 / (1.0 + math.exp(-KTO.Config().beta * ratio))
        assert metrics["optimizer/loss"].value == pytest.approx(loss)
        assert metrics["preference/desirable_ratio"].value == pytest.approx(ratio)
        assert (metrics["preference/desirable_ratio"].count, metrics["preference/undesirable_ratio"].count) == (1, 0)


def test_a_pair_weighs_as_much_as_the_lighter_of_its_answers() -> None:
    better, worse = (episode(turn((1,), (t,)), reward=r) for t, r in ((2, 1.0), (3, 0.0)))
    batch = collate((Pick(better, weight=3.0), Pick(worse, weight=0.5)), "per_turn")
    assert ordered_pairs(batch).weight_P.tolist() == [0.5]


def test_noise_has_the_share_of_the_spread_that_was_asked_for() -> None:
    policy = Table(64, capacity=64)
    with torch.no_grad():
        policy.weight.copy_(2.0 * torch.randn(64, 64, generator=torch.Generator().manual_seed(5)))
    before = policy.weight.detach().clone()
    add_noise(policy, 0.1)
    assert (policy.weight - before).std().item() == pytest.approx(0.2, rel=0.1)


def test_vtrace_has_no_advantage_off_the_actions() -> None:
    batch = batch_of(episode(turn((1,), (2, 3)), reward=1.0, end=End.TRUNCATED, final=(1, 2, 3, 4)))
    one_BT = torch.ones_like(batch.rewards_BT)
    target_BT, advantage_BT = vtrace(
        batch.rewards_BT, 5.0 * one_BT, batch.next_BT, one_BT, batch.action_BT, 1.0, 1.0, 1.0
    )
    assert bool((advantage_BT[~batch.action_BT] == 0.0).all())
    assert bool((target_BT[~batch.action_BT] == 5.0).all())
    assert bool((advantage_BT[batch.action_BT] != 0.0).any())


def test_a_nucleus_counts_the_shares_of_what_top_k_left() -> None:
    # .5, .3, .2: of the first two, the first has 5 / 8, which is more than .6
    logits_NV = torch.tensor([[0.5, 0.3, 0.2]], dtype=torch.float64).log()
    assert logprobs_of(logits_NV, Sampling(top_k=2, top_p=0.6)).exp().tolist() == [[1.0, 0.0, 0.0]]
    assert logprobs_of(logits_NV, Sampling(top_p=0.6)).exp().tolist() == [pytest.approx([5 / 8, 3 / 8, 0.0])]


@pytest.mark.parametrize("length", [5, 6, 9])
def test_the_position_in_a_long_chain(length: int) -> None:
    batch = batch_of(
        episode(turn((1, 1), tuple(range(length))), turn((1, 1, 7), (2, 3)), id="a"), episode(turn((1,), (2,)), id="b")
    )
    found_BT = position_in_chain(batch.next_BT, batch.decision_BT)
    for e in range(2):
        slots = (batch.action_BT & (batch.episode_B == e).unsqueeze(1)).flatten().nonzero().flatten().tolist()
        place, position = slots[0], 0
        while place >= 0:  # a walk along the chain
            assert found_BT.flatten()[place] == position
            place, position = int(batch.next_BT.flatten()[place]), position + 1
        assert position == len(slots)
