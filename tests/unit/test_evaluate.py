"""Intervals over prompts: which method is used for which scores, with numbers that can be checked by hand."""

import math

import numpy as np
import pytest

from strop.evaluate import gold_of, interval, paired_difference, rewards_of
from strop.intervals import Interval
from strop.types import End, Episode, Part, Task, Unscored


def limits(found: Interval) -> tuple[float, float]:
    return found.low, found.high


# ------------------------------------------------------------ one judgement


def test_all_right_is_not_certain():
    found = interval([1.0] * 8)
    # At chance p all 8 come with p^8. Its fellow is P(X <= 2) from where that is no likelier, p = 0.6414: together more
    # than 5 %. For any smaller p it is P(X <= 1), and both together stay below.
    p = 0.64144879
    at_most = np.cumsum([math.comb(8, k) * p**k * (1 - p) ** (8 - k) for k in range(3)])
    assert at_most[2] == pytest.approx(p**8, rel=1e-6)
    assert at_most[1] + p**8 < 0.05 < at_most[2] + p**8
    assert (found.mean, found.high) == (1.0, 1.0)
    assert found.low == pytest.approx(p, abs=1e-6)
    assert str(found) == "1.000 [0.641, 1.000]"
    assert str(interval([0.0] * 8)) == "0.000 [0.000, 0.359]"


def test_equal_scores_other_than_0_and_1_have_no_interval():
    found = interval([1.5] * 12)
    assert found.mean == 1.5
    assert np.isnan(limits(found)).all()
    assert str(found) == "1.500 (no interval: all 12 scores are equal)"
    assert interval([0.1 + 0.2, 0.3, 0.3]).reason == "all 3 scores are equal"  # but for rounding
    assert interval([1e300] * 3).reason == "all 3 scores are equal"


def test_a_single_score_has_no_interval():
    assert str(interval([0.5])) == "0.500 (no interval: a single score)"
    assert interval([1.0]).reason == "a single score"


def test_graded_scores_have_students_interval():
    # mean 2.5, standard deviation sqrt(5/3), 3 degrees of freedom: 3.1824 of the printed table
    half = 3.1824 * math.sqrt(5 / 3) / 2
    assert limits(interval([1.0, 2.0, 3.0, 4.0])) == pytest.approx((2.5 - half, 2.5 + half), abs=1e-4)


def test_interval_agrees_with_the_normal_distribution_on_many_prompts():
    values = np.random.default_rng(1).normal(2.0, 1.0, size=400).tolist()
    found = interval(values)
    half = 1.96 * np.std(values) / math.sqrt(400)
    assert found.mean == pytest.approx(np.mean(values))
    assert found.high - found.mean == pytest.approx(half, rel=0.01)
    assert found.mean - found.low == pytest.approx(half, rel=0.01)


def test_two_values_of_many_prompts_are_a_scale_like_right_or_wrong():
    ones, signs = [0.0] * 3 + [1.0] * 9, [-1.0] * 3 + [1.0] * 9
    low, high = limits(interval(ones))
    assert limits(interval(signs)) == pytest.approx((2 * low - 1, 2 * high - 1))
    assert interval([-1.0, 1.0]).high == pytest.approx(
        12.706, abs=1e-3
    )  # of two prompts they may be two of many values


def test_scores_beside_show_what_equal_ones_could_have_been():
    signs = [-1.0] * 3 + [1.0] * 9
    low, _ = limits(interval([1.0] * 12))
    assert interval([1.0] * 12, signs).low == pytest.approx(2 * low - 1)
    assert interval([1.0] * 12, np.linspace(0.2, 1.5, 12)).reason == "all 12 scores are equal"


def test_scores_that_no_square_can_hold_have_no_bounds():
    assert limits(interval([1e300, 2e300, 0.0])) == (-math.inf, math.inf)
    assert str(interval([1e8, 2e8, 3e8])) == "2e+08 [-4.84e+07, 4.48e+08]"


def test_unscored_prompts_leave_the_mean():
    assert interval([1.0, math.nan, 3.0]).mean == 2.0
    assert math.isnan(interval([math.nan]).mean)
    assert str(interval([math.nan])) == "(nothing was scored)"


def test_decimals_tell_the_ends_apart():
    assert str(interval([0.0001, 0.0002, 0.00015])) == "0.00015 [0.00003, 0.00027]"
    assert format(interval([120.0, 130.0, 140.0]), "+") == "+130.0 [+105.2, +154.8]"
    assert str(Interval(-1e-9, -0.5, 0.5)) == "0.000 [-0.500, 0.500]"


# ------------------------------------------------------------ two judgements of the same prompts


def test_pairing_removes_what_prompts_have_in_common():
    # Every prompt gains exactly 1, though prompts differ by 100: that nothing else could happen is not known.
    before = [float(100 * i) for i in range(8)]
    after = [value + 1.0 for value in before]
    found = paired_difference(before, after)
    assert (found.mean, found.reason) == (1.0, "all 8 differences are equal")
    after[0] += 0.8  # differences 1.8 and seven times 1.0: mean 1.1, standard deviation sqrt(0.56 / 7)
    half = 2.3646 * math.sqrt(0.08 / 8)
    assert limits(paired_difference(before, after)) == pytest.approx((1.1 - half, 1.1 + half), abs=1e-4)
    assert paired_difference([1.0, math.nan], [2.0, 5.0]).mean == 1.0
    with pytest.raises(ValueError, match="cannot be paired"):
        paired_difference([1.0], [1.0, 2.0])


def test_right_or_wrong_prompts_that_all_stay_may_still_change():
    found = paired_difference([0.0, 1.0] * 4, [0.0, 1.0] * 4)
    up = interval([0.0] * 8).high  # no gain among 8 and no loss, and almost nothing correlates them
    correlation = 0.1 / 8.1
    assert limits(found) == pytest.approx((-up, up), abs=1e-9)
    one = paired_difference([0.0] + [1.0] * 7, [1.0] * 8)
    low = interval([1.0] + [0.0] * 7).low
    correlation = math.sqrt(1.1 * 0.1 / (7.1 * 8.1))
    down = math.sqrt((1 / 8 - low) ** 2 + up**2 + 2 * correlation * (1 / 8 - low) * up)
    assert one.low == pytest.approx(1 / 8 - down)


def test_all_wrong_and_then_all_right_is_a_proportion_of_gains():
    assert limits(paired_difference([0.0] * 8, [1.0] * 8)) == pytest.approx((0.283, 1.0), abs=0.06)


def test_a_change_between_two_values_has_the_width_of_their_scale():
    before, after = [0.0, 0.0, 0.0, 1.0] * 3, [1.0, 0.0, 1.0, 1.0] * 3
    low, high = limits(paired_difference(before, after))
    doubled = paired_difference([2 * score - 1 for score in before], [2 * score - 1 for score in after])
    assert limits(doubled) == pytest.approx((2 * low, 2 * high))


def test_one_value_before_and_one_after_are_no_scale():
    assert paired_difference([0.25] * 12, [0.75] * 12).reason == "all 12 differences are equal"
    assert paired_difference([0.5], [0.7]).reason == "a single difference"
    assert paired_difference([math.nan, 1.0], [1.0, math.nan]).reason == "nothing was scored"


def test_gold_is_the_weighted_mean_of_its_parts():
    parts = {"gold/a": Part(0.0, 1.0), "gold/b": Part(0.0, 0.0), "r": Part(1.0, 0.25)}
    scored = Episode("1", Task("1", "x"), 0, (), (), End.TERMINATED, parts=parts)
    lost = Episode("2", Task("1", "x"), 0, (), (), End.TERMINATED, parts={**parts, "r": Part(1.0, Unscored("no"))})
    assert gold_of([scored], {"a": 3.0, "b": 1.0}) == [0.75]
    assert rewards_of([scored])[0] == 0.25
    assert math.isnan(rewards_of([lost])[0])
