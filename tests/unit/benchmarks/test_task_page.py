"""The tables of docs/tasks are what the runs say."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[3] / "benchmarks"))

import task_page
from task_arms import TASKS, recipe_of

from strop import loader


def cell(rewards: str, before: float, beside: list[float]) -> dict[str, Any]:
    """A seed: right or wrong on each task, and the interval of what it is above a baseline."""
    scores = {str(i): float(one) for i, one in enumerate(rewards)}
    mean = sum(scores.values()) / len(scores)
    return {
        "steps": [100],
        "minutes": 9.96,
        "gib": 1.26,
        "verdicts": {"reward": {"before": before, "after": [mean, mean - 0.1, mean + 0.1]}},
        "besides": {"words": {"reward": [0.5, 0.4, 0.6], "difference": beside, "gold": None}},
        "held_out": {"reward": mean, "right": mean, "tokens": 1.0},
        "judged": len(scores),
        "rewards": scores,
        "shown": [["a | b", "old\nline", "new"]],
    }


RECORD = {
    "task": "sentiment",
    "date": "2026-01-02",
    "machine": "a processor",
    "minutes": 10.0,
    "cores": 2,
    "seeds": 2,
    "cells": {
        "SFT/0": cell("1100", 0.25, [0.0, -0.1, 0.1]),
        "RL/1": cell("1110", 0.25, [0.25, 0.1, 0.4]),
        "RL/0": cell("1111", 0.25, [0.5, 0.3, 0.7]),
        "SFT/1": cell("1000", 0.25, [-0.25, -0.4, -0.1]),
    },
}


@pytest.fixture
def page() -> str:
    return task_page.page_of({**RECORD, "cells": dict(sorted(RECORD["cells"].items()))}, chinese=False)


def test_a_row_by_hand(page):
    """The mean of 1.0 and 0.75, with Student's t: half of it is 12.7 x 0.177 / sqrt(2)."""
    (row,) = [line for line in page.splitlines() if line.startswith("| RL | 0.250")]
    columns = [column.strip() for column in row.split("|")[1:-1]]
    assert columns[:5] == ["RL", "0.250", "1.000 [0.900, 1.100]", "0.750 [0.650, 0.850]", "0.875 [-0.713, 2.463]"]
    assert columns[5:] == ["", "", "100", "10.0", "1.3"]


def test_baselines_and_arms_are_paired_by_seed(page):
    assert "| words | 0.500 [0.400, 0.600] |  | +0.500 [+0.300, +0.700]; +0.250 [+0.100, +0.400] |" in page
    (line,) = [line for line in page.splitlines() if line.startswith("**RL less SFT**")]
    assert line.count("+0.50") == 2  # 1.0 - 0.5, and 0.75 - 0.25
    assert "right 0.875" in page
    assert "| a \\| b | old line | new |" in page


def test_both_languages_have_the_same_numbers(page):
    chinese = task_page.page_of({**RECORD, "cells": dict(sorted(RECORD["cells"].items()))}, chinese=True)
    assert [line.count("|") for line in chinese.splitlines()] == [line.count("|") for line in page.splitlines()]


def test_every_task_is_a_recipe_with_pages():
    recipes = [module.name for module in loader.modules("recipes")]
    for task in TASKS:
        assert recipe_of(task) in recipes
        for ending in (".md", ".zh-CN.md"):
            text = (task_page.DOCS / f"{recipe_of(task)}{ending}").read_text(encoding="utf-8")
            assert text.count(f"<!-- {task} -->") == text.count(f"<!-- /{task} -->") == 1


def test_games_have_a_line_each_with_their_own_baselines():
    cells = {name.replace("RL", "nim").replace("SFT", "go"): dict(one) for name, one in RECORD["cells"].items()}
    for name, one in cells.items():
        one["besides"] = {"search" if name.startswith("go") else "perfect": one["besides"]["words"]}
    page = task_page.page_of({**RECORD, "task": "games", "cells": cells}, chinese=False)
    (nim,) = [line for line in page.splitlines() if line.startswith("| nim")]
    (go,) = [line for line in page.splitlines() if line.startswith("| go")]
    assert nim.startswith(
        "| nim | 0.500 | 0.250 | 1.000 [0.900, 1.100] | 0.750 [0.650, 0.850] | 0.875 [-0.713, 2.463] | 100"
    )
    assert go.startswith("| go | 0.500 (search) | 0.250 |")
    assert "less" not in page.split("held-out")[0]


def test_an_arm_whose_optimum_nobody_knows_has_an_empty_column():
    cells = {name.replace("RL", "two").replace("SFT", "four"): dict(one) for name, one in RECORD["cells"].items()}
    for name, one in cells.items():
        words = one["besides"]["words"]
        one["besides"] = {"rule": words} if name.startswith("four") else {"rule": words, "optimum": words}
    page = task_page.page_of({**RECORD, "task": "allocate", "cells": cells}, chinese=False)
    lines = [line for line in page.splitlines() if line.startswith("|")]
    assert len({line.count("|") for line in lines}) == 1
    assert lines[0].startswith("| | rule | optimum | start |")
    (four,) = [line for line in lines if line.startswith("| four")]
    assert four.startswith("| four | 0.500 |  | 0.250 |")


def test_a_score_without_an_interval_says_why():
    cells = {"RL/0": cell("1111", 0.25, [0.5, 0.3, 0.7])}
    cells["RL/0"]["verdicts"]["reward"]["after"] = [1.0, float("nan"), float("nan"), "all 4 scores are equal"]
    page = task_page.page_of({**RECORD, "seeds": 1, "cells": cells}, chinese=False)
    assert "1.000 (no interval: all 4 scores are equal)" in page
    assert "nan" not in page


def test_a_chinese_page_says_in_chinese_why_there_is_no_interval():
    alone = {**RECORD, "seeds": 1, "cells": {name: RECORD["cells"][name] for name in ("SFT/0", "RL/0")}}
    assert "（没有区间：只有一个种子）" in task_page.page_of(alone, chinese=True)
    assert "(no interval: a single seed)" in task_page.page_of(alone, chinese=False)
    own = {**RECORD["cells"]["SFT/0"], "shown": [["(no interval: a single seed)", "", ""]]}
    texts = task_page.page_of({**alone, "cells": {"SFT/0": own}}, chinese=True)
    assert "| (no interval: a single seed) |" in texts  # what a model reads and writes stays as it is
