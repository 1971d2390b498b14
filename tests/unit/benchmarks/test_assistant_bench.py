"""The proof in its short form: rounds with simulated people, a poisoned one kept out; the pages are the record's."""

import sys
from pathlib import Path

import numpy as np
import pytest

from strop.intervals import student

sys.path.insert(0, str(Path(__file__).parents[3] / "benchmarks"))

import assistant as bench
import assistant_page as page


@pytest.mark.matrix
def test_a_small_proof(tmp_path):
    sizes = bench.Sizes(rounds=1, people=30, comparing=24, looks=1, judged=100, first_steps=120)
    first, poisoned = bench.proof(tmp_path, 3, sizes)["rounds"]
    assert (first["poisoned"], poisoned["poisoned"]) == (False, True)
    assert first["comparisons"] == poisoned["comparisons"] == 72
    assert first["made"] > 0.52
    assert poisoned["made"] < first["made"]
    assert poisoned["status"] != "promoted"
    assert (poisoned["serving"], poisoned["win_rate"]) == (0, first["win_rate"])
    assert first["serving"] == (first["status"] == "promoted")


@pytest.fixture(scope="module")
def record():
    return page.recorded()


def test_people_are_served_better_round_by_round_and_poison_is_kept_out(record):
    by_round = list(zip(*(one["rounds"] for one in record["seeds"]), strict=True))
    for rounds in by_round:
        assert student(np.array([one["win_rate"] for one in rounds]))[0] > 0.5
        assert all(one["repeats"][0] > -0.05 for one in rounds if one["status"] == "promoted")
    for one in record["seeds"]:
        *honest, poisoned = one["rounds"]
        assert poisoned["status"] != "promoted"
        assert poisoned["win_rate"] == honest[-1]["win_rate"]
    assert all(gain > 0.0 for gain in page.gains(record["seeds"]))


def test_useless_feedback_makes_no_version_that_serves_and_is_no_better(record):
    assert not any(map(page.is_false, record["useless"]))


@pytest.mark.parametrize("language", ["", ".zh-CN"])
def test_the_pages_are_those_of_the_proof(record, language):
    assert page.page_of(record, language) in (page.DOCS / f"assistant{language}.md").read_text(encoding="utf-8")


def one(win_rate, status="promoted", poisoned=False, **others):
    return {
        "win_rate": win_rate,
        "status": status,
        "poisoned": poisoned,
        "preference": [0.6, 0.55, 0.65],
        "repeats": [-0.01, -0.03, 0.01],
        **others,
    }


def test_a_page_tells_rounds_gains_and_useless_feedback(tmp_path):
    seeds = [
        {"seed": seed, "rounds": [one(0.6), one(last), one(last, "refused", True)]}
        for seed, last in enumerate((0.7, 0.8))
    ]
    useless = [one(0.5, kind="noise"), one(0.51, kind="noise"), one(0.4, "waiting", kind="lies")]
    assert page.gains(seeds) == pytest.approx([0.1, 0.2])
    lines = page.page_of({"seeds": seeds, "useless": useless}, "").splitlines()
    # the mean .75 of .7 and .8: t(.975, 1) = 12.706, times the standard error .05
    assert lines[3].startswith(
        "| 2 | 0.75 [0.11, 1.39] | 2 of 2 | 0.60 [0.55, 0.65], 0.60 [0.55, 0.65] | -0.010, -0.010"
    )
    assert lines[4].startswith("| 3 (poisoned) | 0.75 [0.11, 1.39] | 0 of 2 |")
    # one false promotion of two: Blaker's upper limit of 1 of 2; none of one
    assert lines[-2] == "| thumbs and comparisons by a coin | 2 of 2 | 1 (≤ 97%) | 0.50 – 0.51 |"
    assert lines[-1] == "| all lies | 0 of 1 | 0 (≤ 95%) | 0.40 – 0.40 |"
    page.draw(seeds, tmp_path / "drawn.png")
    assert (tmp_path / "drawn.png").stat().st_size > 10_000
