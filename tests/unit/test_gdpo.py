"""GDPO by hand: what each reward adds to an advantage, and whom an Unscored one leaves alone."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from exact.build import batch_of, episode, turn
from exact.coin import HALF, build, coin
from strop.algorithms.gdpo import GDPO
from strop.algorithms.grpo import GRPO
from strop.types import Batch, Part, Unscored

STD = math.sqrt(0.5) + 1e-4
"""GRPO's, of 0 and 1."""


def batch(*rewards: tuple[float | Unscored, ...], weights: tuple[float, ...] = (1.0, 1.0), size: int = 2) -> Batch:
    """Groups of `size` one-token answers, each with the same named rewards."""
    return batch_of(*(
        episode(
            turn((9,), (i % 2,), (HALF,)), group=i // size, id=str(i),
            parts={f"r{k}": Part(w, r) for k, (w, r) in enumerate(zip(weights, paid, strict=True))},
        )
        for i, paid in enumerate(rewards)
    ))  # fmt: skip


def advantages(kind: type, some: Batch) -> list[float]:
    found: list[float] = build(kind, coin()).update(some).per_token["advantage"].sum(dim=1).tolist()
    return found


def test_a_group_that_two_rewards_tell_apart_pulls_twice_as_hard() -> None:
    # the example of the paper: (0, 0) beside (1, 1), and (0, 0) beside (0, 1). GRPO sees 0 and 2, 0 and 1: the same
    # +-.5 / std. Here the sums are +-2u and +-u, u = .5 / std, whose std is u sqrt(2.5)
    some = batch((0.0, 0.0), (1.0, 1.0), (0.0, 0.0), (0.0, 1.0))
    s = 1 / math.sqrt(2.5)
    assert advantages(GDPO, some) == pytest.approx([-2 * s, 2 * s, -s, s], abs=1e-7)
    assert advantages(GRPO, some) == pytest.approx([-0.7071, 0.7071] * 2, abs=2e-4)


def test_weights_act_after_the_rewards_are_normalised() -> None:
    # in the first group a reward in hundreds (weight 1) and one in hundredths (weight 3) disagree: 3 - 1 against +-1
    some = batch((300.0, 0.0), (100.0, 0.02), (5.0, 1.0), (7.0, 1.0), weights=(1.0, 3.0))
    first, third = (math.sqrt(2) * x / 2 / (math.sqrt(2) * x / 2 + 1e-4) for x in (200.0, 2.0))
    second = math.sqrt(2) * 0.01 / (math.sqrt(2) * 0.01 + 1e-4)
    sums = [(first - 3 * second), -(first - 3 * second), -third, third]
    std = math.sqrt(sum(x * x for x in sums) / 4)
    assert advantages(GDPO, some) == pytest.approx([x / std for x in sums], abs=1e-7)


def test_one_reward_gives_the_advantages_of_grpo_over_their_std() -> None:
    some = batch((0.0,), (1.0,), (4.0,), (2.0,), (5.0,), (5.0,), weights=(2.0,))
    theirs = advantages(GRPO, some)
    std = math.sqrt(sum(x * x for x in theirs) / 6)
    assert advantages(GDPO, some) == pytest.approx([x / std for x in theirs], abs=1e-4)  # 2 r has other 1e-4 than r


def test_an_unscored_reward_leaves_its_own_statistics_alone_and_the_others_keep_the_episode() -> None:
    # the second reward of the third answer could not be computed. It has no loss; its first reward, 3, stays in the
    # mean and std of 0, 3, 3, and its second one in none. Sums -2/sqrt(3) - u and 1/sqrt(3) + u, u = .5/std of 0 and 1
    some = batch((0.0, 0.0), (3.0, 1.0), (3.0, Unscored("judge")), size=3)
    first, second = math.sqrt(3) + 1e-4, 0.5 / STD
    low, high = -2 / first - second, 1 / first + second
    assert some.return_E.isnan().tolist() == [False, False, True]
    half = (high - low) / 2
    assert advantages(GDPO, some) == pytest.approx([-half / (half + 1e-8), half / (half + 1e-8), 0.0], abs=1e-7)


def test_a_group_that_no_reward_tells_apart_gives_exactly_nothing() -> None:
    some = batch((0.1, 0.7), (0.1, 0.7), (0.0, 1.0), (1.0, 1.0))
    found = advantages(GDPO, some)
    assert found[:2] == [0.0, 0.0]
    assert found[2:] == pytest.approx([-math.sqrt(2), math.sqrt(2)], abs=1e-6)  # the dull group counts in the std
    lost = batch(*[(0.1, 0.7)] * 3, (0.0, 0.0), (3.0, 1.0), (3.0, Unscored("judge")), size=3)
    assert advantages(GDPO, lost)[:3] == [0.0, 0.0, 0.0]  # although the batch's mean is not 0 without the lost one


def test_what_the_environment_pays_is_a_reward_of_its_own() -> None:
    # the environment pays 0 and 8, a reward of weight 3 pays 2 and 0: 6 and 8 in all, but 1 opinion against 3
    some = batch_of(*(
        episode(turn((9,), (i,), (HALF,), reward=8.0 * i), parts={"r": Part(3.0, 2.0 - 2.0 * i)}, id=str(i))
        for i in range(2)
    ))  # fmt: skip
    assert (some.parts_EK.tolist(), some.part_weight_K.tolist()) == ([[0.0, 2.0], [8.0, 0.0]], [1.0, 3.0])
    assert advantages(GDPO, some) == pytest.approx([1.0, -1.0], abs=1e-6)  # -u + 3 u and u - 3 u, up to the 1e-4
    assert advantages(GRPO, some) == pytest.approx([-math.sqrt(0.5), math.sqrt(0.5)], abs=1e-4)  # of 6 and 8


def test_reported_rewards_do_not_count() -> None:
    some = batch((0.0, 1.0), (1.0, 0.0), weights=(1.0, 0.0))
    assert some.parts_EK.shape == (2, 2)  # the environment's, and the first
    assert advantages(GDPO, some) == pytest.approx([-1.0, 1.0], abs=1e-7)
    assert advantages(GDPO, replace(some, weight_E=some.weight_E * 0)) == [0.0, 0.0]
