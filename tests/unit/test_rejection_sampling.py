"""Rejection sampling: which answers are kept."""

from __future__ import annotations

import math

import torch

from strop.algorithms.rejection_sampling import kept


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
