"""KL, correction and clip are fields that many algorithms share: each of them must use its own, by the same numbers."""

from __future__ import annotations

import math
from dataclasses import fields
from typing import Any

import pytest
import torch

from exact.build import batch_of, episode, turn
from exact.coin import HALF, build, coin, pair
from exact.learners import ACTOR_CRITIC, GRADIENT, as_baseline, configured, suited
from exact.test_entropy import WEIGHTS
from strop.algorithms.cispo import CISPO
from strop.algorithms.dapo import DAPO
from strop.algorithms.gspo import GSPO
from strop.algorithms.path_consistency import PathConsistency
from strop.algorithms.ppo import PPO
from strop.algorithms.reinforce_pp import REINFORCEPlusPlus
from strop.algorithms.rloo import RLOO
from strop.functional.corrections import Correction
from strop.functional.divergences import KL
from strop.optimizer import SGD
from strop.policies.table import Table
from strop.types import Batch, Sampling, Unscored


def having(name: str) -> list[Any]:
    """Every kind whose Config has this field."""
    return [kind for kind in GRADIENT if name in {field.name for field in fields(kind.Config)}]


def biased(logprob: float = HALF) -> Batch:
    """The pair of `coin`: "0 1" pays 3 and "1" pays 1; the two tokens of the first had this log-prob."""
    return batch_of(
        episode(turn((9,), (0, 1), (logprob, logprob)), reward=3.0),
        as_baseline(episode(turn((9,), (1,), (HALF,)), reward=1.0)),
        layout="per_turn",
    )


@pytest.mark.parametrize("kind", having("correction"))
def test_samples_that_were_twice_as_likely_elsewhere_count_half(kind: Any) -> None:
    # every token has pi / mu = 1/2, so that every token's weight is halved, and with it the step
    certain = batch_of(
        episode(turn((9,), (0, 1), (0.0, 0.0)), reward=3.0),
        as_baseline(episode(turn((9,), (1,), (0.0,)), reward=1.0)),
        layout="per_turn",
    )
    moved = []
    for correction in (None, Correction(level="token", cap=2.0)):
        policy = coin()
        build(kind, policy, correction=correction, epochs=1).update(suited(kind, certain))
        moved.append(policy.weight[:2].detach().clone())
    assert float(moved[0].abs().max()) > 0.01
    assert torch.allclose(moved[1], moved[0] / 2, rtol=0, atol=1e-15)


@pytest.mark.parametrize("kind", [kind for kind in having("kl") if kind not in ACTOR_CRITIC])
def test_kl_in_the_loss_pulls_every_kind_by_its_weight(kind: Any) -> None:
    # k2: the slope of l^2 / 2 is l grad log pi, l = log pi / ref. The reference is a fair coin, pi(0) = 3/4 in row 0
    # and 1/2 in row 1 where l is 0: l = ln 1.5 of the first token, ln .5 of the second answer's
    moved = []
    for weight in (0.0, 0.4):
        policy = coin()
        algorithm = build(kind, policy, kl=KL(weight=weight, placement="loss", estimator="k2"), epochs=1)
        with torch.no_grad():
            policy.weight[0] = torch.tensor([math.log(3), 0.0], dtype=torch.float64)
        algorithm.update(suited(kind, pair()))
        moved.append(policy.weight[:2].detach().clone())
    first, second = WEIGHTS[kind.__name__]
    # grad log pi(0) = (1/4, -1/4), grad log pi(1) = (-3/4, 3/4)
    pull = -0.4 * (first * math.log(1.5) / 4 - second * math.log(0.5) * 3 / 4)
    assert (moved[1] - moved[0]).flatten().tolist() == pytest.approx([pull, -pull, 0.0, 0.0], abs=1e-13)


# The first answer's tokens were drawn with probability .8 where the reference says .5: at weight .5 each costs
# .5 ln 1.6 = c, and the second answer nothing. Advantages of the three tokens:
C = 0.5 * math.log(1.6)
A = 1 / (math.sqrt(2) + 1e-4)
TO_GO = [3 - 2 * C, 3 - C, 1.0]
MEAN = sum(TO_GO) / 3
STD = math.sqrt(sum((x - MEAN) ** 2 for x in TO_GO) / 3)
WHITE = [(x - MEAN) / (STD + 1e-8) for x in TO_GO]
PENALISED = {
    "REINFORCE": TO_GO,
    "A2C": TO_GO,
    "PPO": WHITE,
    "REINFORCEPlusPlus": WHITE,
    "RLOO": [2 - 2 * C, 2 - 2 * C, -2 + 2 * C],
    "DrGRPO": [1 - C, 1 - C, -1 + C],
    "MaxRL": [1 - C, 1 - C, -1 + C],  # right and wrong: (1 - 1/2) / (1/2) and -1, the KL off afterwards, centred
    "GDPO": [1 / (1 + 1e-8 / A) - C] * 2 + [-1 / (1 + 1e-8 / A) + C],  # A is whitened first
    "ReMax": [2 - 2 * C, 2 - 2 * C, 0.0],  # the baseline is what the greedy answer was paid
    **{
        name: [A - C, A - C, -A + C] for name in ("GRPO", "GSPO", "CISPO", "SAPO", "DPPO")
    },  # off after normalising, centred
}


@pytest.mark.parametrize("kind", having("kl"))
def test_kl_in_the_reward_is_taken_off_by_hand(kind: Any) -> None:
    batch = suited(kind, biased(math.log(0.8)))
    more = {"baseline_decay": None, "n_step": None, "trace": 1.0, "epochs": 1, "entropy": 0.0}
    update = build(kind, coin(), kl=KL(weight=0.5), **more).update(batch)
    assert update.per_token["advantage"][batch.action_BT].tolist() == pytest.approx(PENALISED[kind.__name__], abs=1e-14)


def test_the_group_baseline_of_reinforce_pp_is_what_is_left_after_the_kl() -> None:
    # two groups, so that whitening does not take their baselines off again: 3 - 2c and 1 leave 2 - c, 5 and 1 leave 3
    batch = batch_of(
        episode(turn((9,), (0, 1), (math.log(0.8),) * 2), reward=3.0),
        episode(turn((9,), (1,), (HALF,)), reward=1.0),
        episode(turn((9,), (1,), (HALF,)), reward=5.0, group=1),
        episode(turn((9,), (0,), (HALF,)), reward=1.0, group=1),
        layout="per_turn",
    )
    update = build(REINFORCEPlusPlus, coin(), kl=KL(weight=0.5), group_baseline=True).update(batch)
    plain = [1 - C, 1.0, -1 + C, 2.0, -2.0]
    mean = sum(plain) / 5
    std = math.sqrt(sum((x - mean) ** 2 for x in plain) / 5)
    expected = [(x - mean) / (std + 1e-8) for x in plain]
    assert update.per_token["advantage"][batch.action_BT].tolist() == pytest.approx(expected, abs=1e-14)


@pytest.mark.parametrize("kind", [REINFORCEPlusPlus, PPO])
def test_an_episode_that_was_lost_is_not_whitened_with_the_others(kind: Any) -> None:
    # V = 0 and no discount: 3 and 1 are whitened to 1 and -1, whatever stands in the lost one
    rewards = (3.0, 1.0, Unscored("lost"))
    batch = batch_of(*(episode(turn((9,), (1,), (HALF,)), reward=r, id=str(i)) for i, r in enumerate(rewards)))
    update = build(kind, coin(), epochs=1).update(batch)
    assert update.per_token["advantage"][batch.action_BT].tolist() == pytest.approx([1.0, -1.0, 0.0], abs=1e-7)


@pytest.mark.parametrize("kind", having("clip"))
def test_the_second_epoch_stops_at_the_clip_that_was_set(kind: Any) -> None:
    # answers of one token paying 1 and 0 to a fair coin. The rate is such that the first step leads to pi(0) = .65:
    # ratios 1.3 and .7. A clip of .25 stops both, and one of .35 neither
    def after(clip: float, rate: float, epochs: int) -> tuple[float, float]:
        policy = Table(2, capacity=4, value_head=True)
        batch = batch_of(
            episode(turn((9,), (0,), (HALF,)), reward=1.0),
            episode(turn((9,), (1,), (HALF,)), reward=0.0),
            layout="per_turn",
        )
        update = build(kind, policy, optimizer=SGD(lr=rate), clip=clip, epochs=epochs).update(batch)
        return policy.weight[0, 0].item(), update.metrics["policy/clip_active"].value

    wanted = math.log(0.65 / 0.35) / 2  # logits +-wanted
    rate = wanted / after(0.3, 1.0, 1)[0]
    assert after(0.25, rate, 2) == (pytest.approx(wanted), 0.5)  # none of two in the first, both in the second
    further, active = after(0.35, rate, 2)
    assert further > wanted + 0.05
    assert active == 0.0


@pytest.mark.parametrize(("floor", "cap", "up", "down"), [
    (0.0, 5.0, 1.3, 0.7), (0.9, 5.0, 1.3, 0.9), (0.0, 1.1, 1.1, 0.7), (0.8, 1.2, 1.2, 0.8),
])  # fmt: skip
def test_cispo_bounds_its_weights_on_both_sides(floor: float, cap: float, up: float, down: float) -> None:
    # as above: the first step moves the logits by lr * a / 2 = d to pi(0) = .65; in the second the two tokens weigh 1.3
    # and .7, or what the bounds leave of it, and push by 1 - .65 and .65 where the first had 1/2 and 1/2
    d = math.log(0.65 / 0.35) / 2
    a = 0.5 / (math.sqrt(0.5) + 1e-4)
    policy = Table(2, capacity=4)
    batch = batch_of(
        episode(turn((9,), (0,), (HALF,)), reward=1.0),
        episode(turn((9,), (1,), (HALF,)), reward=0.0),
        layout="per_turn",
    )
    build(CISPO, policy, optimizer=SGD(lr=2 * d / a), floor=floor, cap=cap, epochs=2).update(batch)
    assert policy.weight[0, 0].item() == pytest.approx(d + d * (up * 0.35 + down * 0.65))


@pytest.mark.parametrize("kind", [RLOO, GSPO, PathConsistency])
def test_an_answer_of_several_rows_is_one_answer_in_any_micro_batch(kind: Any) -> None:
    # the second turn rewrites what stood, which makes a row of its own; what binds both must not tear them apart
    moved = []
    batch = batch_of(
        episode(turn((9,), (0, 1), (HALF, HALF)), turn((7, 7, 7), (0,), (HALF,)), reward=3.0),
        episode(turn((9,), (1,), (HALF,)), turn((7, 7), (0, 1), (HALF, HALF)), reward=1.0),
    )
    for micro_tokens in (4096, 1):
        policy = Table(2, capacity=16)
        given = {"optimizer": SGD(lr=0.5), "kl": KL(), "epochs": 2, "clip_low": 0.9, "clip_high": 0.9, "clip": 0.9}
        configured(kind, **given).build(policy, Sampling(), micro_tokens).update(batch)
        moved.append(policy.weight.detach().clone()[[policy.row(x) for x in ((9,), (9, 0), (7, 7, 7), (7, 7))]])
    assert float(moved[0].abs().max()) > 0.01
    assert torch.allclose(*moved, rtol=0, atol=1e-14)


def test_dapo_plays_at_most_oversampling_times_the_tasks() -> None:
    assert DAPO.Config(oversampling=3).extras.oversampling == 3


def active_after_a_step(kind: Any, answers: list[tuple[int, float]], **given: Any) -> float:
    """The share of clipped tokens over two epochs, where the first leads a fair coin to pi(0) = .65."""

    def run(rate: float, epochs: int) -> tuple[float, float]:
        policy = Table(2, capacity=4)
        batch = batch_of(
            *(episode(turn((9,), (v,), (HALF,)), reward=r, id=str(i)) for i, (v, r) in enumerate(answers)),
            layout="per_turn",
        )
        update = build(kind, policy, optimizer=SGD(lr=rate), epochs=epochs, **given).update(batch)
        return policy.weight[0, 0].item(), update.metrics["policy/clip_active"].value

    return run(math.log(0.65 / 0.35) / 2 / run(1.0, 1)[0], 2)[1]


@pytest.mark.parametrize("kind", having("clip_low"))
def test_each_end_of_the_clip_stops_its_own_side(kind: Any) -> None:
    # one good answer at ratio 1.3 and two bad ones at .7, in the second of two epochs: 1 or 2 of 6
    answers = [(0, 1.0), (1, 0.0), (1, 0.0)]
    assert active_after_a_step(kind, answers, clip_low=0.35, clip_high=0.25) == pytest.approx(1 / 6)
    assert active_after_a_step(kind, answers, clip_low=0.25, clip_high=0.35) == pytest.approx(2 / 6)


@pytest.mark.parametrize("kind", [kind for kind in having("dual_clip") if kind not in ACTOR_CRITIC])
def test_the_dual_clip_stops_a_bad_answer_that_became_likelier(kind: Any) -> None:
    # token 0 was said twice, well and badly, and gets to ratio 1.3; the bad one is stopped by the dual clip alone
    answers = [(0, 3.0), (0, 0.0), (1, 0.0)]
    assert active_after_a_step(kind, answers, clip=0.1) == pytest.approx(2 / 6)
    assert active_after_a_step(kind, answers, clip=0.1, dual_clip=1.2) == pytest.approx(3 / 6)
    assert active_after_a_step(kind, answers, clip=0.1, dual_clip=1.4) == pytest.approx(2 / 6)
