"""1e300 is shown as 1e+300, wherever a person reads a number."""

import re

import pytest

from strop.cli.output import number
from strop.intervals import Interval
from strop.reports.verdicts import Verdict
from strop.runs.progress import facts

HUGE = Interval(1e300, -1e300, 2e300)


@pytest.mark.parametrize(
    ("value", "text"),
    [(1e300, "1e+300"), (-1e300, "-1e+300"), (12345678.0, "1.23e+07"), (999.94, "999.9"), (-0.0, "0.000")],
)
def test_a_number_is_short(value, text):
    assert number(value) == text
    assert number(value, "+") == text if value < 0 else f"+{text}"


def test_every_place_that_shows_a_number_shows_few_digits():
    texts = [
        str(HUGE),
        Verdict("reward", HUGE, HUGE, HUGE, 20, 20).sentence,
        facts({"reward/mean": 1e300, "held_out/reward": -1e300, "rollout/length": 1e12, "time/tokens_per_second": 1e9}),
    ]
    for text in texts:
        assert "e+" in text
        assert not re.search(r"\d{8}", text), text


def test_a_reward_of_1e300_is_scored_and_shown(strop, table_recipe):
    recipe = table_recipe(reward="lambda task, episode: 1e300 if episode.text == 'b' else -1e300")
    said = strop("score", recipe)
    assert said.code == 0, said.err
    assert not re.search(r"\d{8}", said.out)
    assert "1e+300" in strop("score", recipe, "b").out
    assert not re.search(r"\d{20}", strop("train", recipe, "--run", "r").err)
