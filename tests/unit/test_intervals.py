"""The limits against the definition, against printed tables, and against what they claim: how often they hold."""

import itertools
import math
import sys
from pathlib import Path

import numpy as np
import pytest

from strop.intervals import change_of_proportion, proportion, student, student_quantile

sys.path.insert(0, str(Path(__file__).parents[2] / "tools"))

import interval_coverage


@pytest.mark.parametrize(
    ("freedom", "quantile"), [(1, 12.7062), (2, 4.3027), (3, 3.1824), (7, 2.3646), (19, 2.0930), (120, 1.9799)]
)
def test_students_quantile_is_that_of_the_printed_table(freedom: int, quantile: float) -> None:
    assert student_quantile(freedom) == pytest.approx(quantile, abs=5e-5)


def test_students_limits_of_sleep_are_gossets() -> None:
    # The ten differences of Student's own paper (1908): mean 1.58, standard deviation 1.23 with n - 1.
    hours = np.array([1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4])
    assert student(hours) == pytest.approx((0.70011, 2.45989), abs=1e-5)


def accepted(n: int, chances: np.ndarray) -> np.ndarray:
    """Blaker's acceptability by its definition: the probability of all outcomes whose smaller tail is no likelier."""
    mass = np.array([[math.comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(n + 1)] for p in chances])
    tail = np.minimum(np.cumsum(mass, axis=1), np.cumsum(mass[:, ::-1], axis=1)[:, ::-1])
    no_likelier = tail[:, None, :] <= tail[:, :, None] * (1 + 1e-12)
    return (mass[:, None, :] * no_likelier).sum(axis=2)


@pytest.mark.parametrize("n", [1, 2, 5, 8, 13, 20])
def test_a_proportion_has_the_limits_of_blakers_definition(n: int) -> None:
    step = 1e-3
    chances = np.arange(step, 1.0, step)
    held = accepted(n, chances) > 0.05
    for successes in range(n + 1):
        inside = chances[held[:, successes]]
        low, high = proportion(successes, n)
        assert low == pytest.approx(inside[0] - step / 2, abs=step / 2 + 1e-9)
        assert high == pytest.approx(inside[-1] + step / 2, abs=step / 2 + 1e-9)


def test_a_proportion_mirrors_and_moves_with_its_count() -> None:
    for n in (3, 8, 48):
        limits = np.array([proportion(successes, n) for successes in range(n + 1)])
        assert limits == pytest.approx(1 - limits[::-1, ::-1])
        assert (np.diff(limits, axis=0) > 0).all()


def test_many_prompts_have_the_normal_interval() -> None:
    half = 1.96 * math.sqrt(0.3 * 0.7 / 20_000)
    assert proportion(6_000, 20_000) == pytest.approx((0.3 - half, 0.3 + half), abs=1e-4)
    half = 1.96 * math.sqrt((0.2 + 0.1 - 0.1**2) / 20_000)
    assert change_of_proportion(4_000, 2_000, 20_000) == pytest.approx((0.1 - half, 0.1 + half), abs=2e-4)


def test_a_change_mirrors_and_stays_within_one() -> None:
    for gains, losses in itertools.product(range(9), repeat=2):
        if gains + losses <= 8:
            low, high = change_of_proportion(gains, losses, 8)
            assert -1 <= low <= (gains - losses) / 8 <= high <= 1
            assert change_of_proportion(losses, gains, 8) == (-high, -low)


# ------------------------------------------------------------ how often they hold


@pytest.mark.parametrize("n", [8, 20, 48])
def test_right_or_wrong_scores_are_covered_and_not_much_more(n: int) -> None:
    coverage = interval_coverage.of_proportion(n, np.linspace(0.02, 0.98, 193))
    assert coverage.min() >= 0.95
    assert coverage.mean() <= 0.985


@pytest.mark.parametrize("n", [8, 20, 48])
def test_their_paired_difference_is_covered_and_not_much_more(n: int) -> None:
    chances = interval_coverage.CHANCES
    same = interval_coverage.of_change(n, chances * (1 - chances), chances * (1 - chances))
    assert same.min() >= 0.945
    assert same.mean() <= 0.985
    drawn = interval_coverage.of_change(n, *interval_coverage.pairs(0.0))
    assert drawn.min() >= 0.945
    assert drawn.mean() <= 0.985


@pytest.mark.parametrize("n", [2, 5, 8, 20])
def test_their_paired_difference_is_covered_whatever_gains_and_losses(n: int) -> None:
    shares = np.concatenate([[0.0, 1e-3, 5e-3], np.linspace(0.02, 1.0, 50)])
    gain, loss = (grid.ravel() for grid in np.meshgrid(shares, shares))
    possible = gain + loss <= 1 + 1e-12
    assert interval_coverage.of_change(n, gain[possible], loss[possible]).min() >= 0.93


@pytest.mark.parametrize("n", [20, 48])
def test_skewed_scores_are_covered_nine_times_in_ten(n: int) -> None:
    error = 3 * math.sqrt(0.9 * 0.1 / 2_000)
    assert interval_coverage.simulated(*interval_coverage.SCORES["exponential"], n, runs=2_000) >= 0.9 - error


@pytest.mark.slow
@pytest.mark.parametrize("n", [20, 48])
@pytest.mark.parametrize("name", ["exponential", "difference of two exponential", "normal", "0, 2 with chances .1, .9"])
def test_any_scores_are_covered_nine_times_in_ten(name: str, n: int) -> None:
    assert interval_coverage.simulated(*interval_coverage.SCORES[name], n, runs=5_000) >= 0.9
