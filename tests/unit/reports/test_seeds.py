"""What the runs of a sweep came to."""

import math

import pytest

from strop.reports.seeds import Result, combinations, seed_mean
from strop.runs.standing import Standing


def test_the_mean_over_seeds_has_the_textbook_interval():
    one = seed_mean([1.0, 2.0, 6.0])  # mean 3, variance (4 + 1 + 9) / 2 = 7, t 4.30265
    assert one.mean == 3.0
    assert one.high - one.mean == pytest.approx(4.30265 * math.sqrt(7 / 3), abs=1e-4)
    assert one.mean - one.low == pytest.approx(one.high - one.mean)
    for values in ([0.3], [0.1 + 0.2, 0.3, 0.3], [math.nan, 1.0]):
        assert math.isnan(seed_mean(values).low)


def stood(before, after, **changed):
    usual = {
        "status": "finished",
        "algorithm": "GRPO",
        "done": 9,
        "steps": 9,
        "minutes": None,
        "judged": (0, 9),
        "seconds": 60.0,
    }
    return Standing(**{**usual, "scores": {"reward": (before, after)}, "error": "", **changed})


def test_finished_runs_that_differ_in_their_seed_are_one_combination():
    runs = [
        Result("lr-1_seed-0", "", {"lr": "1", "seed": "0"}, stood(0.1, 0.5)),
        Result("lr-1_seed-1", "", {"lr": "1", "seed": "1"}, stood(0.3, 0.9, seconds=120.0, done=11, judged=(0, 11))),
        Result("lr-1_seed-2", "", {"lr": "1", "seed": "2"}, stood(0.0, 9.0, status="interrupted", done=5)),
        Result(
            "lr-1_seed-3", "", {"lr": "1", "seed": "3"}, stood(0.0, 9.0, judged=(0,))
        ),  # killed before it was judged
        Result("lr-2_seed-0", "", {"lr": "2", "seed": "0"}, stood(0.2, 0.1)),
        Result("lr-2_seed-1", "", {"lr": "2", "seed": "1"}, None),
        Result("lr-3_seed-0", "", {"lr": "3", "seed": "0"}, None, error="failed"),
    ]
    one, two = combinations(runs)
    assert (one.values, one.runs, one.seconds, one.steps) == ({"lr": "1"}, 2, 90.0, 10)
    gain = one.scores["reward"]
    assert [gain.before.mean, gain.after.mean, gain.difference.mean] == pytest.approx([0.2, 0.7, 0.5])
    # differences 0.4 and 0.6: sd 0.1 sqrt 2, over sqrt 2, times t of one degree of freedom
    assert gain.difference.high - gain.difference.mean == pytest.approx(12.7062 * 0.1, abs=1e-4)
    assert (two.values, two.runs, two.scores["reward"].difference.mean) == ({"lr": "2"}, 1, pytest.approx(-0.1))
