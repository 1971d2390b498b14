"""Chinese pages say in Chinese why a mean has no interval."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[3] / "benchmarks"))

from reasons import in_chinese

from strop.intervals import mean_interval

DOCS = Path(__file__).parents[3] / "docs"


@pytest.mark.parametrize(
    ("values", "noun", "told"),
    [
        ([0.5], "seed", "0.500（没有区间：只有一个种子）"),
        ([0.5, 0.5], "score", "0.500（没有区间：两个分数都相等）"),
        ([0.0] * 94, "difference", "0.000（没有区间：94 个差都相等）"),
        ([], "score", "（都没有分数）"),
    ],
)
def test_each_reason_that_a_mean_gives(values, noun, told):
    reason = str(mean_interval(np.array(values), noun, np.array(values)))
    assert in_chinese(f"| a | {reason} |") == f"| a | {told} |"


def test_an_interval_stays_as_it_is():
    assert in_chinese("| 0.5 [0.4, 0.6] |") == "| 0.5 [0.4, 0.6] |"


@pytest.mark.parametrize("reason", ["(no interval: a single walk)", "(no interval: it rained)"])
def test_a_reason_that_has_no_chinese_is_an_error(reason):
    with pytest.raises(ValueError, match=r"[Aa]dd it"):
        in_chinese(reason)


def test_no_chinese_page_gives_a_reason_in_english():
    for page in DOCS.rglob("*.zh-CN.md"):
        assert "no interval:" not in page.read_text(encoding="utf-8"), page.name
