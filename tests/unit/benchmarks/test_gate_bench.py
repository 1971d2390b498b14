"""The gate's error and power: a small run, and the pages are those of the record."""

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[3] / "benchmarks"))

import gate as bench


@pytest.fixture(scope="module")
def record():
    return json.loads((bench.RESULTS / "gate.json").read_text(encoding="utf-8"))


def test_a_small_run():
    found = bench.measured(gates=20, few=5, items=60, most=100)
    assert set(found["errors"]) == set(bench.WRONG)
    assert found["power"]["20"]["50"] <= found["power"]["20"]["100"] <= 1.0


def test_false_promotions_are_below_five_per_cent_however_often_one_looks(record):
    assert set(record["errors"]) == set(bench.WRONG)
    for one in record["errors"].values():
        assert one["gates"] >= 2000
        assert one["once"] <= one["often"]
        assert one["once_high"] <= one["often_high"] < 0.05


def test_what_is_better_by_twenty_points_is_mostly_promoted_within_a_hundred_comparisons(record):
    assert record["power"]["20"]["100"] > 0.7
    shares = [record["power"][name]["800"] for name in ("5", "10", "20")]
    assert shares == sorted(shares)


def test_a_small_run_of_canaries():
    found = bench.measured_canaries(canaries=3, few=3, most=500)
    assert set(found["rows"]) == set(bench.LESS)
    assert found["rows"]["by 40"]["200"] <= found["rows"]["by 40"]["500"]


def test_good_canaries_are_taken_back_below_five_per_cent(record):
    found = record["canaries"]
    assert found["canaries"] >= 2000
    same, *worse = (row[str(bench.CANARY_SEEN[-1])] for row in found["rows"].values())
    assert same <= found["wrong_high"] < 0.05
    assert worse == sorted(worse)


@pytest.mark.parametrize("language", ["", ".zh-CN"])
def test_the_pages_are_those_of_the_record(record, language):
    page = (bench.DOCS / f"assistant{language}.md").read_text(encoding="utf-8")
    assert bench.page_of(record, language) in page
    assert bench.canaries_of(record["canaries"], language) in page
