"""Intervals over prompts, with numbers that can be checked by hand."""

import math

import numpy as np
import pytest

from strop.evaluate import gold_of, interval, paired_difference, rewards_of
from strop.types import End, Episode, Part, Task, Unscored


def test_interval_of_equal_numbers_is_a_point():
    found = interval([0.5] * 10)
    assert (found.mean, found.low, found.high) == (0.5, 0.5, 0.5)


def test_interval_agrees_with_the_normal_law_on_many_prompts():
    values = np.random.default_rng(1).normal(2.0, 1.0, size=400).tolist()
    found = interval(values)
    half = 1.96 * np.std(values) / math.sqrt(400)  # the bootstrap of a mean has this half width
    assert found.mean == pytest.approx(np.mean(values))
    assert found.high - found.mean == pytest.approx(half, rel=0.1)
    assert found.mean - found.low == pytest.approx(half, rel=0.1)


def test_unscored_prompts_leave_the_mean():
    assert interval([1.0, math.nan, 3.0]).mean == 2.0
    assert math.isnan(interval([math.nan]).mean)


def test_pairing_removes_what_prompts_have_in_common():
    # Every prompt gains exactly 1, though prompts differ by 100: the paired interval is a point.
    before = [float(100 * i) for i in range(8)]
    after = [value + 1.0 for value in before]
    found = paired_difference(before, after)
    assert (found.mean, found.low, found.high) == (1.0, 1.0, 1.0)
    assert paired_difference([1.0, math.nan], [2.0, 5.0]).mean == 1.0
    with pytest.raises(ValueError, match="cannot be paired"):
        paired_difference([1.0], [1.0, 2.0])


def test_gold_is_the_weighted_mean_of_its_parts():
    parts = {"gold/a": Part(0.0, 1.0), "gold/b": Part(0.0, 0.0), "r": Part(1.0, 0.25)}
    scored = Episode("1", Task("1", "x"), 0, (), (), End.TERMINATED, parts=parts)
    lost = Episode("2", Task("1", "x"), 0, (), (), End.TERMINATED, parts={**parts, "r": Part(1.0, Unscored("no"))})
    assert gold_of([scored], {"a": 3.0, "b": 1.0}) == [0.75]
    assert rewards_of([scored])[0] == 0.25
    assert math.isnan(rewards_of([lost])[0])
