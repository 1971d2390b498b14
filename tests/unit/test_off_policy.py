"""Estimates from another policy's log, against a truth that is known: by hand, and by simulation."""

import math

import numpy as np
import pytest

from strop.functional import (
    direct_method,
    doubly_robust,
    effective_size,
    inverse_propensity,
    self_normalised,
)

TRUTH = np.array([[0.3, 0.1, 0.6], [0.5, 0.8, 0.2]])
"""[context, action]: the probability of a reward of 1. Both contexts are equally likely."""
LOGGED = np.array([[0.5, 0.3, 0.2], [0.2, 0.3, 0.5]])
JUDGED = np.array([[0.1, 0.2, 0.7], [0.3, 0.6, 0.1]])
GUESS = np.array([[0.4, 0.2, 0.5], [0.4, 0.6, 0.3]])
"""A model of rewards that is wrong, but better than none."""
VALUE = float((JUDGED * TRUTH).sum() / 2)
LOGS, LINES = 1000, 200


def logs(seed=0, truth=TRUTH):
    """Reward, weight, model's reward and model's mean of many logs [logs, lines]."""
    rng = np.random.default_rng(seed)
    context = rng.integers(2, size=(LOGS, LINES))
    action = (LOGGED.cumsum(axis=1)[context] < rng.random((LOGS, LINES, 1))).sum(axis=-1)
    reward = (rng.random((LOGS, LINES)) < truth[context, action]).astype(float)
    expected = (JUDGED * GUESS).sum(axis=1)[context]
    return reward, JUDGED[context, action] / LOGGED[context, action], GUESS[context, action], expected


def exact_variance(of_line):
    """The variance of a line's term, by summing over context, action and reward."""
    chances, terms = [], []
    for context in range(2):
        for action in range(3):
            for reward in (0, 1):
                right = TRUTH[context, action] if reward else 1 - TRUTH[context, action]
                chances.append(LOGGED[context, action] * right / 2)
                terms.append(of_line(context, action, reward))
    mean = np.dot(chances, terms)
    return float(np.dot(chances, (np.array(terms) - mean) ** 2)), float(mean)


def weight_of(context, action):
    return JUDGED[context, action] / LOGGED[context, action]


def ips_term(context, action, reward):
    return weight_of(context, action) * reward


def dr_term(context, action, reward):
    missed = reward - GUESS[context, action]
    return (JUDGED[context] * GUESS[context]).sum() + weight_of(context, action) * missed


def snips_term(context, action, reward):
    """The linear part of the ratio."""
    return weight_of(context, action) * (reward - VALUE)


def test_by_hand():
    reward, weight = [1.0, 0.0, 2.0], [2.0, 1.0, 0.5]
    assert inverse_propensity(reward, weight).mean == pytest.approx((2 + 0 + 1) / 3)
    assert self_normalised(reward, weight).mean == pytest.approx((2 + 0 + 1) / 3.5)
    assert doubly_robust(reward, weight, [0.5, 0.5, 1.0], [1.0, 0.0, 1.0]).mean == pytest.approx(
        (1 + 2 * 0.5 + 0 - 0.5 + 1 + 0.5 * 1.0) / 3
    )
    assert direct_method([1.0, 0.0, 0.5]).mean == pytest.approx(0.5)
    assert effective_size(weight) == pytest.approx(3.5**2 / 5.25)
    assert effective_size([1.0] * 7) == pytest.approx(7.0)
    assert effective_size([0.0, 0.0]) == 0.0


def test_the_unbiased_ones_are_unbiased_and_spread_as_they_should():
    reward, weight, predicted, expected = logs()
    ips = np.array([inverse_propensity(*log).mean for log in zip(reward, weight, strict=True)])
    dr = np.array([doubly_robust(*log).mean for log in zip(reward, weight, predicted, expected, strict=True)])
    for found, of_line in ((ips, ips_term), (dr, dr_term)):
        variance, mean = exact_variance(of_line)
        assert mean == pytest.approx(VALUE)
        error = math.sqrt(variance / LINES / LOGS)
        assert found.mean() == pytest.approx(VALUE, abs=4 * error)
        # the variance of a variance is about 2 / LOGS of its square for a mean of many lines
        assert found.var(ddof=1) == pytest.approx(variance / LINES, rel=4 * math.sqrt(2 / LOGS))
    assert exact_variance(dr_term)[0] < exact_variance(ips_term)[0]
    assert dr.var() < ips.var()


def test_the_self_normalised_one_has_a_small_bias_and_less_spread():
    reward, weight, *_ = logs()
    found = np.array([self_normalised(*log).mean for log in zip(reward, weight, strict=True)])
    # bias of a ratio of means to first order: -cov(w r - V w, w) / lines; its spread by the linear part w (r - V)
    spread, _ = exact_variance(snips_term)
    bias = -exact_cross(snips_term) / LINES
    assert found.mean() == pytest.approx(VALUE + bias, abs=4 * math.sqrt(spread / LINES / LOGS))
    assert found.var(ddof=1) == pytest.approx(spread / LINES, rel=4 * math.sqrt(2 / LOGS) + 4 / LINES)
    assert spread < exact_variance(ips_term)[0]
    assert found.max() <= 1.0


def exact_cross(of_line):
    """The mean of a line's term times its weight."""
    return sum(
        LOGGED[context, action]
        * (TRUTH[context, action] if reward else 1 - TRUTH[context, action])
        / 2
        * of_line(context, action, reward)
        * weight_of(context, action)
        for context in range(2)
        for action in range(3)
        for reward in (0, 1)
    )


@pytest.mark.parametrize(("which", "term"), [("ips", ips_term), ("snips", snips_term), ("dr", dr_term)])
def test_intervals_hold_the_truth_as_often_as_they_say_and_are_no_wider(which, term):
    reward, weight, predicted, expected = logs(seed=1)
    made = {
        "ips": lambda i: inverse_propensity(reward[i], weight[i]),
        "snips": lambda i: self_normalised(reward[i], weight[i]),
        "dr": lambda i: doubly_robust(reward[i], weight[i], predicted[i], expected[i]),
    }[which]
    found = [made(i) for i in range(LOGS)]
    share = sum(one.low <= VALUE <= one.high for one in found) / LOGS
    # four standard errors of a share of 1,000; and 200 lines are not yet many: a point is given for that
    assert share == pytest.approx(0.95, abs=4 * math.sqrt(0.95 * 0.05 / LOGS) + 0.01)
    half = sum(one.high - one.low for one in found) / LOGS / 2
    assert half == pytest.approx(1.972 * math.sqrt(exact_variance(term)[0] / LINES), rel=0.03)  # t of 199 degrees


def test_a_right_model_makes_up_for_wrong_probabilities_and_adding_a_number_adds_it():
    reward, weight, *_ = logs(seed=2)
    rng = np.random.default_rng(3)
    context = rng.integers(2, size=40_000)
    action = (LOGGED.cumsum(axis=1)[context] < rng.random((40_000, 1))).sum(axis=-1)
    clicks = (rng.random(40_000) < TRUTH[context, action]).astype(float)
    wrong = JUDGED[context, action] / np.array([0.2, 0.5, 0.3])[action]
    right_model = (JUDGED * TRUTH).sum(axis=1)[context]
    found = doubly_robust(clicks, wrong, TRUTH[context, action], right_model)
    assert found.low < VALUE < found.high
    assert not inverse_propensity(clicks, wrong).low < VALUE < inverse_propensity(clicks, wrong).high
    plain, moved = self_normalised(reward[0], weight[0]), self_normalised(reward[0] + 10, weight[0])
    assert moved.mean == pytest.approx(plain.mean + 10)


def test_the_logged_policy_is_worth_what_it_earned():
    reward, *_ = logs()
    ones = np.ones(LINES)
    assert inverse_propensity(reward[0], ones).mean == self_normalised(reward[0], ones).mean == reward[0].mean()


def test_what_is_no_log_is_refused():
    with pytest.raises(ValueError, match=r"reward \(2,\), weight \(3,\)"):
        inverse_propensity([1.0, 0.0], [1.0, 1.0, 1.0])
    with pytest.raises(ValueError, match="at least one line"):
        direct_method([])
    with pytest.raises(ValueError, match="weight holds -1"):
        self_normalised([1.0], [-1.0])
    with pytest.raises(ValueError, match="weight holds NaN or infinity"):
        inverse_propensity([1.0, 1.0], [1.0, math.inf])
    assert "nothing that was logged" in self_normalised([1.0, 0.0], [0.0, 0.0]).reason
