"""Advertising from a log: the log is the shop's, what is learnt from it beats the shop, and the estimates say so."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

import strop
from strop.environments.advertise import ADS, VISITORS, Advertise, click_rate
from strop.memory import Dataset
from strop.recipes.advertise import MostClicked, as_task, best, estimates, log, recipe, shop_odds, shown_by, worth
from strop.runs.progress import Progress
from strop.types import Observation, Task

RNG = np.random.default_rng(0)
SHOP = {visitor: shop_odds(visitor) for visitor in VISITORS}
BEST = {one: [float(ad == best(Task("1", ""), Observation(one, ADS, 0, RNG))) for ad in ADS] for one in VISITORS}


def test_a_visit_by_hand():
    assert [click_rate("young city phone", ad) for ad in ADS] == [0.14, 0.03, 0.12, 0.02]
    assert [click_rate("old country desk", ad) for ad in ADS] == [0.04, 0.15, 0.08, 0.14]
    paid = [
        Advertise(Task("1", "", data={"visitor": "young city phone", "mood": 0.13}), RNG).step(ad).reward
        for ad in ("bike", "film", "zeppelin")
    ]
    assert paid == [1.0, 0.0, 0.0]
    with pytest.raises(ValueError, match="young city phone"):
        Advertise(Task("1", "", data={"visitor": "a cat"}), RNG)


def test_what_the_two_policies_are_worth_by_hand():
    # best: .14 bike, .12 film | .14 bike, .10 bank (young city; phone, desk), ... by the table of rates
    rows = [max(click_rate(visitor, ad) for ad in ADS) for visitor in VISITORS]
    assert worth(BEST) == pytest.approx(sum(rows) / 8)
    assert worth(SHOP) < worth(BEST) - 0.03


def test_the_log_is_the_shops():
    kept = log(4000)
    at_desk = Counter(line.ad for line in kept if "desk" in line.visitor)
    error = (0.55 * 0.45 / at_desk.total()) ** 0.5
    assert at_desk["bank"] / at_desk.total() == pytest.approx(0.55, abs=4 * error)
    assert {round(line.probability, 2) for line in kept} == {0.55, 0.15}
    clicks = np.mean([line.click for line in kept])
    assert clicks == pytest.approx(worth(SHOP), abs=4 * (clicks * (1 - clicks) / 4000) ** 0.5)


def test_estimates_from_the_log_hold_the_truth():
    found = estimates(BEST, log(8000, seed=3))
    for name in ("inverse propensity", "self-normalised", "doubly robust"):
        assert abs(found[name].mean - worth(BEST)) < 2 * (found[name].high - found[name].low) / 2, name
        assert found[name].low > worth(SHOP)
    assert found["doubly robust"].high - found["doubly robust"].low < 0.05


def test_the_most_clicked_ad_is_found():
    shown = [as_task(str(i), line) for i, line in enumerate(log(4000))]
    clicks = {ad: np.mean([one.click for one in log(4000) if one.ad == ad]) for ad in ADS}
    assert MostClicked().fit(shown)(shown[0], Observation("", ADS, 0, RNG)) == max(clicks, key=lambda ad: clicks[ad])
    with pytest.raises(ValueError, match="shows no ad as often"):
        MostClicked(seen=9999).fit(shown)


def test_it_learns_from_the_log_alone(tmp_path):
    config = recipe(lines=200)
    few = replace(config, steps=2, memory=Dataset.Config(size=32), held_out=config.held_out[:16])
    run = strop.train(few, tmp_path / "run", progress=Progress.silent())
    assert run.episodes() == []
    odds = shown_by(run)
    assert all(sum(row) == 1.0 for row in odds.values())


@pytest.mark.learning
@pytest.mark.parametrize("seed", [0, 1])
def test_what_is_learnt_earns_more_than_the_shop_and_the_log_tells_how_much(seed, tmp_path):
    run = strop.train(recipe(seed=seed), tmp_path / "run", progress=Progress.silent())
    learnt = shown_by(run)
    assert worth(learnt) > worth(SHOP) + 0.7 * (worth(BEST) - worth(SHOP))
    found = estimates(learnt, log(8000, seed=seed + 100))["doubly robust"]
    assert abs(found.mean - worth(learnt)) < found.high - found.low
