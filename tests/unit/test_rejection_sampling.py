"""Rejection sampling: which answers are kept."""

from __future__ import annotations

import math

import pytest
import torch

from exact.build import batch_of, episode, turn
from exact.learners import learner
from strop.algorithms.rejection_sampling import RejectionSampling, kept
from strop.policies.table import Table
from strop.types import Unscored


def test_the_best_of_each_group_is_kept_whatever_others_get() -> None:
    return_E, group_E = torch.tensor([1.0, 2.0, 5.0, 4.0]), torch.tensor([0, 0, 1, 1])
    assert kept(return_E, group_E, 1, None).tolist() == [False, True, True, False]
    assert kept(return_E, group_E, 2, None).tolist() == [True, True, True, True]


def test_equals_are_kept_together_and_unscored_ones_never() -> None:
    return_E, group_E = torch.tensor([3.0, 3.0, math.nan, 1.0]), torch.tensor([0, 0, 0, 0])
    assert kept(return_E, group_E, 1, None).tolist() == [True, True, False, False]


def test_the_threshold_itself_is_not_enough() -> None:
    return_E, group_E = torch.tensor([0.5, 0.6]), torch.tensor([0, 1])
    assert kept(return_E, group_E, 1, 0.5).tolist() == [False, True]


def test_kept_answers_depend_on_best_and_threshold_and_their_share_on_scored_ones() -> None:
    # returns 3, 2, 1 and a lost one: one, two, or those above 1.5 of three; the kept tokens share a weight of 1
    rewards = (3.0, 2.0, 1.0, Unscored("lost"))
    batch = batch_of(*(episode(turn((1,), (i,)), reward=r, id=str(i)) for i, r in enumerate(rewards)))
    for fields, expected in (
        ({}, [1, 0, 0, 0]),
        ({"best": 2}, [0.5, 0.5, 0, 0]),
        ({"best": 3, "threshold": 1.5}, [0.5, 0.5, 0, 0]),
        ({"best": 3, "threshold": 1.0}, [0.5, 0.5, 0, 0]),  # on the threshold is not above it
        ({"best": 1, "threshold": 5.0}, [0, 0, 0, 0]),
    ):
        algorithm = learner(RejectionSampling, Table(5, capacity=16), **fields)
        update = algorithm.update(batch)
        assert algorithm.weight(batch)[batch.action_BT].tolist() == expected
        assert update.per_token["advantage"][batch.action_BT].tolist() == [float(w > 0) for w in expected]
        assert update.metrics["policy/kept"].value == pytest.approx(sum(w > 0 for w in expected) / 3)
