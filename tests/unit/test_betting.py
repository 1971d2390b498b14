"""Limits by betting: by hand, against a slow reference, and their error counted over all paths."""

import math

import numpy as np
import pytest

from strop.functional.betting import SHARES_G, anytime_change, anytime_limits, log_wealth, lower_limit
from strop.streams import stream


def test_the_shares_have_the_moments_of_the_arcsine_law():
    assert [np.mean(SHARES_G**power) for power in (1, 2, 3)] == pytest.approx([1 / 2, 3 / 8, 5 / 16])


def test_limits_by_hand():
    """After one 1 the wealth is E[1 - g + g/m] = (1 + 1/m) / 2, which is 20 at m = 1/39. After two, with r = 1/m - 1,
    it is E[(1 + g r)^2] = 1 + r + 3/8 r^2, which is 20 at r = (-1 + sqrt(29.5)) / 0.75."""
    assert lower_limit([1.0], 0.05) == pytest.approx(1 / 39)
    assert lower_limit([1.0, 1.0], 0.05) == pytest.approx(1 / (1 + (math.sqrt(29.5) - 1) / 0.75))
    assert anytime_limits([0.0], 0.1) == pytest.approx((0.0, 1 - 1 / 39))
    assert anytime_limits([], 0.05) == (0.0, 1.0)


def test_a_change_is_half_a_limit_of_its_middle():
    """Changes of 1, 1 and -1 are 1, 1 and 0 on the scale from 0 to 1."""
    low, high = anytime_limits([1.0, 1.0, 0.0], 0.05)
    assert anytime_change([0, 0, 1], [1, 1, 0], 0.05) == pytest.approx((2 * low - 1, 2 * high - 1))


def test_wealth_is_that_of_gamblers_who_bet_one_by_one():
    values, m = stream(0, "betting").random(30), 0.4
    gamblers = np.ones(len(SHARES_G))
    for value in values:
        for i, share in enumerate(SHARES_G):
            gamblers[i] *= 1 - share + share * value / m
    assert log_wealth(values, m) == pytest.approx(math.log(gamblers.mean()))


def test_limits_do_not_depend_on_the_order_and_close_in():
    values = (stream(1, "betting").random(400) < 0.6).astype(float)
    low, high = anytime_limits(values)
    assert anytime_limits(np.sort(values)) == (low, high)
    assert low < values.mean() < high
    assert high - low < 0.25
    assert anytime_limits(values[:50])[0] < low


def crossing(p: float, tie: float, steps: int, alpha: float) -> float:
    """The probability that the wealth against .5 ever reaches 1/alpha in so many steps: all paths of wins, ties and
    losses, summed by their counts, since the wealth depends on no more."""
    alive, crossed = {(0, 0): 1.0}, 0.0
    for step in range(1, steps + 1):
        reached: dict[tuple[int, int], float] = {}
        for (wins, ties), chance in alive.items():
            for place, odds in (((wins + 1, ties), p), ((wins, ties + 1), tie), ((wins, ties), 1 - p - tie)):
                if odds:
                    reached[place] = reached.get(place, 0.0) + chance * odds
        alive = {}
        for (wins, ties), chance in reached.items():
            values = [1.0] * wins + [0.5] * ties + [0.0] * (step - wins - ties)
            if log_wealth(values, 0.5) >= -math.log(alpha):
                crossed += chance
            else:
                alive[wins, ties] = chance
    return crossed


@pytest.mark.parametrize(("p", "tie", "steps"), [(0.5, 0.0, 150), (0.4, 0.2, 40)])
def test_who_looks_after_every_number_is_wrong_seldom_enough(p, tie, steps):
    error = crossing(p, tie, steps, 0.05)
    assert 0.005 < error <= 0.05


def skewed(k: int) -> np.ndarray:
    """200 numbers with mean .1."""
    return stream(2, "betting", k).beta(0.2, 1.8, 200)


def holds(values: np.ndarray, mean: float, alpha: float) -> bool:
    """Whether both limits do: neither who bets on more nor who bets on less has 2/alpha. It is faster than the limits,
    which search for the means where they have that."""
    return max(log_wealth(values, mean), log_wealth(1 - values, 1 - mean)) < math.log(2 / alpha)


def test_both_limits_hold_at_all_looks_of_skewed_numbers():
    """Simulated: 300 sequences, looked at after every 10 numbers."""
    missed = sum(any(not holds(skewed(k)[:n], 0.1, 0.1) for n in range(10, 201, 10)) for k in range(300))
    assert 0 < missed <= 30


def test_at_each_limit_one_gambler_has_just_won():
    for k in range(20):
        low, high = anytime_limits(skewed(k), 0.1)
        assert log_wealth(skewed(k), low) == pytest.approx(math.log(20), abs=1e-4)
        assert log_wealth(1 - skewed(k), 1 - high) == pytest.approx(math.log(20), abs=1e-4)


def test_what_is_no_share_is_refused():
    with pytest.raises(ValueError, match="numbers from 0 to 1"):
        lower_limit([0.5, 1.5], 0.05)
    with pytest.raises(ValueError, match="numbers from 0 to 1"):
        lower_limit([math.nan], 0.05)
    with pytest.raises(ValueError, match="alpha=0"):
        lower_limit([0.5], 0.0)
    with pytest.raises(ValueError, match="2 scores before and 1 after"):
        anytime_change([0, 1], [1])
