"""What a sampler that is not the learner does to the gradient, and what each correction takes back, by enumeration.

A tree of 15 contexts and 31 sequences with a reward at the end. mu is the policy with noise on its logits; one batch
holds every sequence once, weighted by mu, so one update is the exact expectation under mu.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch

from exact.build import batch_of, episode, flat, turn
from exact.tree import PROMPT, ascent, random_weights, relative, set_weights
from strop.algorithms.a2c import A2C
from strop.algorithms.dr_grpo import DrGRPO
from strop.algorithms.ppo import PPO
from strop.algorithms.reinforce import REINFORCE
from strop.batch import collate
from strop.environments.single_turn import SingleTurn
from strop.functional.corrections import Correction, correction_weight, effective_sample_size, is_recent
from strop.functional.divergences import KL
from strop.learners.actor_critic import Critic
from strop.optimizer import SGD
from strop.policies.table import Table
from strop.rollout.play import Scene, play
from strop.samplers.local import LocalSampler
from strop.types import Pick, Sampling, Task
from strop.verify.actor_critic import random_rewards, valued_tree
from strop.verify.corrections import NOISE, by_hand, mismatched

pytestmark = pytest.mark.matrix


@pytest.mark.parametrize("noise", NOISE)
def test_by_hand_only_the_sequence_ratio_is_unbiased(noise: str) -> None:
    # of the slow references; that each correction equals its own is a row of strop verify
    tree, mu, rewards = mismatched(NOISE[noise])
    true = tree.true_gradient(rewards)
    bias = {name: relative(slow, true) for name, slow in by_hand(tree, mu, rewards).items()}
    assert bias["sequence"] < 1e-12
    for name in ("none", "token", "token TIS 2", "token IcePop .5 to 5", "prefix", "length-normalised"):
        assert bias[name] > 5e-3, name
    if noise != "large":  # as in the table of the specification: a correction of tokens helps, and does not cure
        assert bias["prefix"] < bias["token"] < bias["none"]
    if noise == "small":  # truncation is free while nothing is truncated
        assert bias["sequence TIS 2"] < 1e-12
        assert bias["sequence MIS 3"] < 1e-12
    if noise == "large":
        assert bias["sequence TIS 2"] > 0.05
        assert bias["sequence MIS 3"] > 0.05


def test_the_weight_multiplies_every_epoch_and_every_micro_batch_alike() -> None:
    tree, mu, rewards = mismatched(0.4)
    episodes = tree.episodes(rewards, distributions=mu)
    moved = []
    for micro in (4096, 1):
        config = DrGRPO.Config(optimizer=SGD(lr=0.1), epochs=3, correction=Correction(level="sequence", cap=1.5))
        algorithm = config.build(tree.policy, Sampling(), micro)
        moved.append(ascent(tree, algorithm, [Pick(one) for one in episodes]))
    assert relative(*moved) < 1e-12


@pytest.mark.parametrize("kind", [A2C, PPO])
def test_an_actor_critic_weighs_each_tokens_loss_by_hand(kind: Any) -> None:
    # V = 0 and A = R = 3, 1, -4 with ratios 3, 1, .5 of one-token answers on a fair coin: token 0, 0, 1. With TIS 2 the
    # critic moves by (2 * 3 + 1 * 1 - .5 * 4) / 3 = 5/3 and logit 0 by (2 * 3 + 1 + .5 * 4) / 2 / 3 = 1.5; PPO whitens
    # A with its plain mean 0 and std sqrt(26 / 3)
    fields: dict[str, Any] = {"optimizer": SGD(lr=1.0), "kl": KL(), "critic": Critic(), "entropy": 0.0}
    more = {"epochs": 1} if kind is PPO else {}
    spread = math.sqrt(26 / 3) if kind is PPO else 1.0
    answers = ((0, 3.0, 3.0), (0, 1.0, 1.0), (1, -4.0, 0.5))
    for micro in (4096, 1):
        table = Table(2, capacity=4, value_head=True)
        table.row(PROMPT)
        batch = batch_of(
            *(episode(turn(PROMPT, (y,), (math.log(0.5 / r),)), reward=paid) for y, paid, r in answers),
            layout="per_turn",
        )
        algorithm = kind.Config(**fields, **more, correction=Correction()).build(table, Sampling(), micro)
        metrics = algorithm.update(batch).metrics
        assert table.value[0].item() == pytest.approx(5 / 3)
        assert table.weight[0].tolist() == pytest.approx([1.5 / spread, -1.5 / spread])
        assert metrics["correction/ess"].value == pytest.approx(4.5**2 / (3 * 10.25))
        assert metrics["correction/weight"].value == pytest.approx(3.5 / 3)


@pytest.mark.parametrize("kind", [A2C, PPO])
def test_an_actor_critic_without_a_gap_is_not_changed_by_its_correction(kind: Any) -> None:
    moved = []
    for correction in (None, Correction(), Correction(level="sequence", kind="mask", floor=0.999, cap=1.001)):
        tree = valued_tree()
        algorithm = kind.Config(optimizer=SGD(lr=1.0), kl=KL(), correction=correction).build(
            tree.policy, Sampling(), 4096
        )
        moved.append(ascent(tree, algorithm, [Pick(one) for one in tree.episodes(random_rewards(tree))]))
    assert relative(moved[1], moved[0]) < 1e-12
    assert relative(moved[2], moved[0]) < 1e-12


def test_metrics_say_how_far_the_sampler_is() -> None:
    # three answers of one token with ratios 3, 1 and .5: ESS (4.5)^2 / (3 * 10.25), mean of min(., 2) = 3.5 / 3
    table = Table(2, capacity=4)
    table.row(PROMPT)
    batch = batch_of(
        *(episode(turn(PROMPT, (0,), (math.log(0.5 / r),)), reward=1.0) for r in (3.0, 1.0, 0.5)), layout="per_turn"
    )
    for level in ("token", "sequence"):
        config = REINFORCE.Config(optimizer=SGD(lr=1e-9), correction=Correction(level=level))  # type: ignore[arg-type]
        metrics = config.build(table, Sampling(), 4096).update(batch).metrics
        assert metrics["correction/ess"].value == pytest.approx(4.5**2 / (3 * 10.25))
        assert metrics["correction/weight"].value == pytest.approx(3.5 / 3)


def test_effective_sample_size_by_hand() -> None:
    def ess(*weights: float) -> float:
        return effective_sample_size(torch.tensor(weights, dtype=torch.float64).log())

    assert ess(1, 1, 1) == pytest.approx(1.0)
    assert ess(3, 1) == pytest.approx(16 / 20)
    assert ess(1, 0, 0, 0) == pytest.approx(1 / 4)
    assert effective_sample_size(torch.tensor([800.0, 0.0])) == pytest.approx(0.5)  # e^800 is no float
    assert math.isnan(ess())


def test_stale_samples_are_masked() -> None:
    many = [replace(episode(turn((0,), (1,) * (1 + v % 2)), reward=1.0), version=v) for v in (0, 5, 3, 4)]
    batch = batch_of(*many)
    assert is_recent(batch, None).tolist() == [True] * 4
    assert is_recent(batch, 1).tolist() == [False, True, False, True]
    zero_BT = torch.zeros(batch.tokens_BT.shape, dtype=torch.float64)
    weight_BT = correction_weight(Correction(max_staleness=2), zero_BT, zero_BT, batch)
    assert weight_BT.tolist() == [[0, 0, 0], [0, 1, 1], [0, 1, 1], [0, 1, 0]]


def test_an_unscored_episode_without_logprobs_has_no_weight_to_give() -> None:
    one = episode(turn((0,), (1,), (-1.0,)), reward=1.0)
    lost = replace(episode(turn((0,), (1, 2), None)), parts={})
    batch = batch_of(one, lost)
    off_BT = torch.where(batch.logprobs_BT.isnan(), 0.0, 0.5)
    for level in ("token", "sequence"):
        weight_BT = correction_weight(Correction(level=level), off_BT, off_BT, batch)  # type: ignore[arg-type]
        assert not bool(weight_BT.isnan().any())


@pytest.mark.parametrize("level", ["token", "sequence"])
def test_the_embedded_sampler_needs_no_correction(level: Any) -> None:
    policy, codec = Table.Config(words=["a", "b", "c"], has_end=True, order=1).build(0)
    for token in range(policy.vocabulary):
        policy.row((token,))
    set_weights(policy, random_weights(policy, seed=2))
    rewards = {"r": (lambda task, one: float(len(one.text)), 1.0)}
    scene = Scene(environment=SingleTurn, rewards=rewards, codec=codec, context=None, seed=0)
    sampler = LocalSampler(policy, codec.stop)
    episodes = play(scene, [Task("1", "a")], 8, sampler, Sampling(max_tokens=4), "train", 0)
    batch = collate(tuple(Pick(one) for one in episodes), policy.layout)
    weights = []
    for correction in (None, Correction(level=level), Correction(level=level, kind="mask", floor=0.999, cap=1.001)):
        start = flat(policy.parameters())
        config = REINFORCE.Config(optimizer=SGD(lr=1.0), kl=KL(), correction=correction)
        update = config.build(policy, Sampling(max_tokens=4), 4096).update(batch)
        weights.append(flat(policy.parameters()))
        set_weights(policy, start)
        if correction is not None:
            assert update.metrics["correction/weight"].value == pytest.approx(1.0, abs=1e-12)
            assert update.metrics["correction/ess"].value == pytest.approx(1.0, abs=1e-12)
    torch.testing.assert_close(weights[1], weights[0], rtol=0.0, atol=1e-12)
    torch.testing.assert_close(weights[2], weights[0], rtol=0.0, atol=1e-12)


def test_a_bad_answer_that_drifted_is_dropped_by_hand() -> None:
    # drifts log mu - log pi: (.2 + .6) / 2 = .4, .3 of one token in each of two rows, (1 - .5) / 2 = .25, -1
    drop = Correction(level="sequence", kind="drop_negative", max_drift=0.26)
    batch = batch_of(
        episode(turn((0,), (1, 2), (-1.0, -1.0))),
        episode(turn((0,), (1,), (-1.0,)), turn((5,), (2,), (-1.0,))),
        episode(turn((0,), (1, 2), (-1.0, -1.0))),
        episode(turn((0,), (1,), (-1.0,))),
    )
    drift_BT = torch.tensor([[0.0, 0.2, 0.6], [0.0, 0.3, 0.0], [0.0, 0.3, 0.0], [0.0, 1.0, -0.5], [0.0, -1.0, 0.0]])
    for sign, weights in ((-1.0, [0, 0, 0, 1, 1]), (1.0, [1, 1, 1, 1, 1]), (0.0, [1, 1, 1, 1, 1])):
        factor_BT = correction_weight(drop, -drift_BT.double(), torch.full(drift_BT.shape, sign), batch)
        assert factor_BT.tolist() == (torch.tensor(weights).unsqueeze(1) * batch.action_BT).double().tolist()


def test_each_action_of_negative_advantage_is_dropped_and_the_others_of_its_answer_stay() -> None:
    drop = Correction(level="sequence", kind="drop_negative", max_drift=0.1)
    batch = batch_of(episode(turn((0,), (1, 2, 3), (-1.0,) * 3)))
    drift_BT = torch.tensor([[0.0, 0.5, 0.5, 0.5]], dtype=torch.float64)
    advantage_BT = torch.tensor([[0.0, -1.0, 2.0, 0.0]], dtype=torch.float64)
    assert correction_weight(drop, -drift_BT, advantage_BT, batch).tolist() == [[0.0, 0.0, 1.0, 1.0]]


@pytest.mark.parametrize("fields", [
    {"level": "word"}, {"kind": "clip"}, {"cap": 0.5}, {"floor": -1.0, "kind": "mask"}, {"floor": 0.5},
    {"max_staleness": -1}, {"max_drift": 0.5}, {"kind": "mask", "max_drift": 0.5},
    {"kind": "drop_negative", "max_drift": 0.5}, {"kind": "drop_negative", "level": "sequence"},
    *({"kind": "drop_negative", "level": "sequence", "max_drift": 0.5} | wrong
      for wrong in ({"cap": 3.0}, {"floor": 0.1}, {"max_drift": -0.1}, {"max_drift": math.inf})),
])  # fmt: skip
def test_meaningless_options_are_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="correction"):
        Correction(**fields)


def test_what_is_stale_is_left_out_whatever_the_kind() -> None:
    batch = batch_of(*(replace(episode(turn((0,), (1,), (-1.0,)), reward=1.0, id=str(v)), version=v) for v in (0, 5)))
    for kind in ({}, {"kind": "mask", "cap": 2.0}, {"kind": "drop_negative", "level": "sequence", "max_drift": 0.5}):
        correction = Correction(max_staleness=2, **kind)  # type: ignore[arg-type]
        nothing_BT = torch.zeros_like(batch.rewards_BT)
        weight_BT = correction_weight(correction, nothing_BT, nothing_BT + 1.0, batch)
        assert weight_BT[batch.action_BT].tolist() == [0.0, 1.0]
