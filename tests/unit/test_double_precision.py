"""What is computed in float64 stays there: a whole number that divides or is an exponent must not bring float32 in.

Halves and quarters are exact in float32, so the numbers here are thirds and tenths.
"""

from __future__ import annotations

import pytest
import torch

from exact.build import batch_of, episode, turn
from exact.learners import learner
from strop.algorithms.reinforce import REINFORCE
from strop.functional.aggregation import sequence_sum
from strop.functional.lengths import soft_overlong
from strop.functional.objectives import sequence_objective
from strop.policies.table import Table


@pytest.mark.parametrize("length", [3, 5, 7])
def test_a_sequence_counts_once_whatever_its_length(length: int) -> None:
    batch = batch_of(episode(turn((1,), (2,) * length), reward=1.0))
    logprobs_BT = torch.full(batch.tokens_BT.shape, -1.0, dtype=torch.float64)
    loss, _ = sequence_objective(
        batch, logprobs_BT, logprobs_BT, torch.ones_like(logprobs_BT), sequence_sum(batch), 0.2, 0.2
    )
    assert loss.item() == pytest.approx(-1.0, abs=1e-15)


@pytest.mark.parametrize("discount", [0.0, 0.3, 0.9])
def test_the_discounted_state_distribution_by_hand(discount: float) -> None:
    algorithm = learner(REINFORCE, Table(5, capacity=16), discount=discount, discount_state=True)
    batch = batch_of(episode(turn((1,), (2, 3, 4)), reward=1.0))
    advantage_BT = algorithm.update(batch).per_token["advantage"]
    # step t is worth discount^(2 - t) of the last reward, and counts discount^t
    assert advantage_BT[batch.action_BT].tolist() == pytest.approx([discount**2] * 3, abs=1e-16)


@pytest.mark.parametrize("cache", [3, 30, 1000])
def test_the_overlong_penalty_falls_by_one_part_a_token(cache: int) -> None:
    length_E = torch.tensor([2000 - cache, 2000 - cache + 1, 2000 - 1, 2000])
    expected = [0.0, -1 / cache, -(cache - 1) / cache, -1.0]
    assert soft_overlong(length_E, 2000, cache).tolist() == pytest.approx(expected, abs=1e-16)
