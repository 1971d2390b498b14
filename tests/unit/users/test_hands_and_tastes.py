"""How what a person thinks is shown: the rates of thumbs and comparisons, and what manner is worth."""

import math

import numpy as np
import pytest
from scipy.stats import binomtest

from strop.users import Hand, Taste, phrases_of

MANY = 4000
SURE = 1e-4
"""A fair test of a rate fails once in so many seeds; these seeds are fixed."""


def is_rate(count, number, rate):
    """Whether so many of `number` are plausible at this rate, by the exact binomial test."""
    return binomtest(count, number, rate).pvalue > SURE


@pytest.mark.parametrize("wrong", [0.0, 0.1, 0.35, 1.0])
@pytest.mark.parametrize("worth", [-1.0, 0.0, 0.5])
def test_the_share_of_wrong_thumbs_is_that_of_the_hand(wrong, worth):
    rng, is_good = np.random.default_rng(0), worth > 0.0
    wrongs = sum(Hand(wrong=wrong).thumb(worth, rng) != is_good for _ in range(MANY))
    assert is_rate(wrongs, MANY, wrong)


def test_the_exact_test_of_a_rate_notices_two_points():
    rng = np.random.default_rng(0)
    wrongs = sum(not Hand(wrong=0.13).thumb(1.0, rng) for _ in range(MANY))
    assert not is_rate(wrongs, MANY, 0.1)


@pytest.mark.parametrize(("first", "second"), [(1.0, 0.0), (0.0, 1.0), (0.5, 0.2), (3.0, -3.0), (1e6, -1e6)])
def test_comparisons_agree_with_the_worths_as_often_as_the_model_says(first, second):
    # d = first - second, sharpness 3: seen with s = 1 / (1 + exp(-3 d)), then .9 s + .1 (1 - s)
    seen = 1.0 / (1.0 + math.exp(-min(3.0 * (first - second), 700.0))) if first - second > -200 else 0.0
    expected = 0.9 * seen + 0.1 * (1.0 - seen)
    hand, rng = Hand(), np.random.default_rng(1)
    verdicts = [hand.comparison(first, second, rng) for _ in range(MANY)]
    assert set(verdicts) <= {"A", "B"}
    assert is_rate(verdicts.count("A"), MANY, expected)
    assert hand.chance(first, second) == pytest.approx(expected, abs=1e-12)


def test_what_cannot_be_told_apart_is_the_same_or_both_bad():
    hand, rng = Hand(), np.random.default_rng(0)
    assert {hand.comparison(0.3, 0.1, rng) for _ in range(50)} == {"same"}
    assert {hand.comparison(-0.3, -0.1, rng) for _ in range(50)} == {"both bad"}
    assert Hand(same=0.0).comparison(1.0, 1.0, rng) == "same"
    assert {Hand(same=0.0).comparison(0.3, 0.1, rng) for _ in range(50)} == {"A", "B"}


def test_a_comparison_takes_one_die_whatever_is_compared():
    for first, second in ((0.0, 0.0), (2.0, -1.0)):
        rng, other = np.random.default_rng(3), np.random.default_rng(3)
        Hand().comparison(first, second, rng)
        other.random()
        assert rng.random() == other.random()


def test_manner_by_hand():
    english = phrases_of("en")
    formal, hurried, vain = Taste(courtesy=1.5), Taste(brevity=1.5, most_words=3), Taste(praise=2.0)
    assert formal.of("Restart it.", english) == -1.5
    assert formal.of("Please restart it.", english) == 0.0
    assert hurried.of("Please restart it.", english) == 0.0
    assert hurried.of("Please restart it now.", english) == -1.5
    assert vain.of("You are a wonderful customer.", english) == 2.0
    assert vain.of("Restart it.", english) == 0.0
    assert hurried.of("重启一下", phrases_of("zh")) == -1.5  # four characters
    assert [one.wants_courtesy for one in (formal, hurried, vain)] == [True, False, False]


@pytest.mark.parametrize("bad", [{"wrong": -0.1}, {"wrong": 1.1}, {"sharpness": math.inf}, {"same": -1.0}])
def test_a_hand_that_cannot_be_is_refused(bad):
    with pytest.raises(ValueError, match=next(iter(bad))):
        Hand(**bad)


def test_a_taste_that_cannot_be_is_refused():
    for bad in ({"courtesy": math.nan}, {"most_words": 0}):
        with pytest.raises(ValueError, match=r"finite|at least 1"):
            Taste(**bad)
