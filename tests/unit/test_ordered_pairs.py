"""Which pairs a batch holds, and what a method without a reference does not load."""

from __future__ import annotations

import pytest

from exact.build import episode, turn
from strop.algorithms.dpo import DPO
from strop.algorithms.orpo import ORPO
from strop.algorithms.simpo import SimPO
from strop.batch import collate
from strop.functional.preferences import ordered_pairs
from strop.policies.table import Table
from strop.types import Pick, Sampling


def test_a_pick_without_weight_is_in_no_pair_and_dilutes_none() -> None:
    # returns 2, 1, 0 of one prompt, the last without weight: one pair, which has all the weight of its prompt
    episodes = [episode(turn((0,), (1,)), reward=reward, id=str(reward)) for reward in (2.0, 1.0, 0.0)]
    weights = (1.0, 1.0, 0.0)
    batch = collate(tuple(Pick(one, weight=weight) for one, weight in zip(episodes, weights, strict=True)), "per_turn")
    pairs = ordered_pairs(batch)
    assert [part.tolist() for part in (pairs.chosen_P, pairs.rejected_P)] == [[0], [1]]
    assert pairs.weight_P.tolist() == [1.0]


@pytest.mark.parametrize(("kind", "reads"), [(DPO, True), (ORPO, False), (SimPO, False)])
def test_only_losses_that_read_a_reference_keep_one(kind: type, reads: bool) -> None:
    algorithm = kind.Config().build(Table(3, capacity=4), Sampling(), 4096)  # type: ignore[attr-defined]
    assert (algorithm.loss.reference is not None) == reads
