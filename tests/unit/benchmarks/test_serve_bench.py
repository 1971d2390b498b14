"""The table of `benchmarks/serve.py` by hand, and what a client counts of a stream."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[3] / "benchmarks"))

import serve

import served


def round_of(speed, first, dropped=0):
    return {"tokens_a_second": speed, "first": first, "slowest": 2 * first, "tokens": 9, "dropped": dropped}


RECORD = {
    "about": "a model",
    "command": "python benchmarks/serve.py",
    "date": "2026-01-02",
    "machine": "a processor",
    "threads": 2,
    "packages": {"torch": "2.0"},
    "servers": {
        "strop": [{"1": round_of(20.0, 0.5), "50": round_of(90.0, 4.0)}],
        "continuous": [{"1": round_of(10.0, 0.25), "50": round_of(1.0, 9.0, dropped=3)}],
        "transformers": [{"1": round_of(16.0, 1.5), "50": round_of(30.0, 2.0)}],
    },
}


def test_a_row_for_so_many_at_once_with_ratios_and_what_was_dropped():
    rows = [line.split(" | ") for line in serve.page_of(RECORD, "").split("\n")]
    assert rows[2][1:] == [
        "20.00",
        "0.50",
        "1.00",
        "0",
        "1.25",
        "3.00",
        "2.00",
        "0.50 |",
    ]
    assert rows[3][-4:] == ["3.00", "0.50", "– (3)", "– (3) |"]


@pytest.mark.parametrize("language", ["", ".zh-CN"])
def test_the_table_stands_between_the_marks_of_both_pages(language, tmp_path):
    for one in serve.HEADS:
        (tmp_path / f"serving{one}.md").write_text("before\n<!-- serve -->\nold\n<!-- /serve -->\nafter\n")
        assert "<!-- serve -->" in (serve.DOCS / f"serving{one}.md").read_text()
    serve.write_pages(RECORD, tmp_path)
    text = (tmp_path / f"serving{language}.md").read_text()
    assert text.startswith("before\n<!-- serve -->\n| ")
    assert text.endswith("<!-- /serve -->\nafter\n")
    assert "old" not in text


def test_a_stream_is_whole_and_its_tokens_are_counted_and_a_refused_one_is_dropped():
    with served.served(served.actor(has_end=False)) as what, served.listened(what) as address:
        found = serve.at_once(address, "tiny", [[{"role": "user", "content": "hello"}]] * 3, 5)
        assert (found.tokens, found.dropped) == (15, 0)
        assert 0 < found.first <= found.slowest
        refused = serve.read(address, "another", [{"role": "user", "content": "hello"}], 5)
        assert (refused.is_whole, refused.tokens) == (False, 0)
