"""What is computed in float64 stays there: a whole number that divides or is an exponent must not bring float32 in, nor
`torch.where` of two Python numbers.

Halves and quarters are exact in float32, so the numbers here are thirds and tenths.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from exact.build import batch_of, episode, turn
from exact.learners import ACTOR_CRITIC, TRAINED, configured, every, is_tabular, learner, suited
from strop.algorithms.reinforce import REINFORCE
from strop.algorithms.remax import ReMax
from strop.batch import collate
from strop.functional.aggregation import sequence_sum
from strop.functional.corrections import Correction
from strop.functional.divergences import KL
from strop.functional.errors import expectile
from strop.functional.lengths import soft_overlong
from strop.functional.objectives import sequence_objective
from strop.policies.table import Table
from strop.verify.awkward import SAMPLING, picks
from strop.verify.chunked import START
from strop.verify.gradient_updates import with_greedy
from strop.verify.table_updates import table


class Float64(TorchDispatchMode):
    """While it is entered, an operation that makes a number of fewer digits is an error: it says which and where."""

    def __torch_dispatch__(
        self, function: Callable[..., Any], types: Sequence[type], args: Any = (), kwargs: Any = None
    ) -> Any:
        out = function(*args, **(kwargs or {}))
        for one in tree_leaves(out):
            if isinstance(one, torch.Tensor) and one.is_floating_point():
                assert one.dtype == torch.float64, f"{function} made {one.dtype}"
        return out


@pytest.mark.parametrize("kind", every(TRAINED))
def test_an_update_in_float64_makes_no_number_of_fewer_digits(kind: Any) -> None:
    for kl in (KL(weight=0.1), KL(weight=0.1, placement="loss", estimator="full")):
        options = {"kl": kl if kind not in ACTOR_CRITIC else KL(weight=0.1), "correction": Correction(), "entropy": 0.1}
        if is_tabular(kind):
            algorithm = configured(kind).build(table(), SAMPLING, 17)
        else:
            algorithm = learner(kind, START.policy(has_values=True), 17, **options)
        batch = suited(kind, collate(tuple(with_greedy() if kind is ReMax else picks()), "joined"))
        with Float64():
            algorithm.update(batch)


def test_the_share_of_an_expectile_is_not_rounded() -> None:
    error = torch.tensor([-1.0, 1.0], dtype=torch.float64)
    assert expectile(error, 0.7).tolist() == [1.0 - 0.7, 0.7]


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
