"""The proof in its short form: rounds with simulated people, a poisoned one kept out; the pages are the record's."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[3] / "benchmarks"))

import assistant as bench


@pytest.mark.matrix
def test_a_small_proof(tmp_path):
    sizes = bench.Sizes(rounds=1, people=24, comparing=24, judged=10, first_steps=120)
    first, poisoned = bench.proof(tmp_path, 0, sizes)["rounds"]
    assert (first["poisoned"], poisoned["poisoned"]) == (False, True)
    assert first["comparisons"] == poisoned["comparisons"] == 72
    assert poisoned["status"] != "promoted"
    assert poisoned["serving"] == first["serving"]
    assert first["serving"] == (first["status"] == "promoted")


@pytest.fixture(scope="module")
def record():
    return bench.recorded()


def test_people_are_served_better_round_by_round_and_poison_is_kept_out(record):
    for one in record["seeds"]:
        *honest, poisoned = one["rounds"]
        assert poisoned["status"] != "promoted"
        assert poisoned["serving"] == honest[-1]["serving"]
        assert honest[-1]["win_rate"] > 0.5


@pytest.mark.parametrize("language", ["", ".zh-CN"])
def test_the_pages_are_those_of_the_proof(record, language):
    assert bench.page_of(record, language) in (bench.DOCS / f"assistant{language}.md").read_text(encoding="utf-8")
