"""The tables of docs/rewards.md: every shipped reward is in them, and the guide names it."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[3] / "benchmarks"))

import reward_cases
import rewards

from strop import loader
from strop.reports.cheats import cheats_of
from strop.rewards import GroupReward
from strop.streams import stream
from strop.types import Task

DOCS = Path(__file__).parents[3] / "docs"
WRAPS = {"Classified", "Clipped", "FromTRL", "GroupReward", "Learned", "Scaled", "from_trl", "Reasoned"}
JUDGED = {"Judge", "Patience", "Budget", "Pairwise", "Rubric"}
TURNS = {"thumbs_up", "solved", "courteous", "final_number", "only_number", "num_calls", "num_failed_calls"} | {"safe"}
INSIDE = WRAPS | JUDGED | TURNS | {"last_number", "SameMaths"}
"""What is cheated there is the function or model inside, a judge, or what happens in several turns. `SameMaths` is
tried by tests of its own, since each of its texts has a process; `last_number` is no reward."""


def name_of(reward):
    inner = reward[0] if isinstance(reward, tuple) else reward
    inner = inner.score if isinstance(inner, GroupReward) else inner
    return getattr(inner, "__name__", type(inner).__name__)


def test_every_shipped_reward_is_attacked_or_wraps_another():
    attacked = {name_of(reward) for case in reward_cases.cases() for reward in case.rewards.values()}
    assert attacked | INSIDE == set(loader.names("rewards"))


def test_every_task_has_an_honest_answer():
    assert all(task.answer for case in reward_cases.cases() for task in case.tasks)


@pytest.mark.parametrize("page", ["rewards.md", "rewards.zh-CN.md"])
def test_the_guide_names_every_reward(page):
    text = (DOCS / page).read_text(encoding="utf-8")
    assert [name for name in loader.names("rewards") if f"`{name}" not in text] == ["FromTRL", "last_number"]


def test_the_pages_are_those_of_the_record():
    import json

    record = json.loads((rewards.RESULTS / "rewards.json").read_text(encoding="utf-8"))
    assert set(record["rewards"]) == {case.name for case in reward_cases.cases()}
    for page, chinese in (("rewards.md", False), ("rewards.zh-CN.md", True)):
        assert rewards.page_of(record, chinese) in (DOCS / page).read_text(encoding="utf-8")


def test_a_row_by_hand(tmp_path):
    one = {"above": {"empty": 0.5, "very long": 0.126}, "equal": ["prompt copied"], "per_second": 12345.0}
    none = {"above": {}, "equal": [], "per_second": 7.0}
    record = {"date": "2026-01-02", "machine": "a processor", "rewards": {"Grammar()": one, "finished": none}}
    assert "| `Grammar()` | 12,000 | empty +0.50, very long +0.13 | prompt copied |" in rewards.page_of(record, False)
    assert "| `finished` | 7 | nothing | nothing |" in rewards.page_of(record, False)
    assert "| `Grammar()` | 12,000 | 空文本 +0.50、很长的文本 +0.13 | 照抄提示 |" in rewards.page_of(record, True)
    for name in ("rewards.md", "rewards.zh-CN.md"):
        (tmp_path / name).write_text("before\n<!-- attack -->\nold\n<!-- /attack -->\nafter\n")
    rewards.write(record, tmp_path)
    page = (tmp_path / "rewards.zh-CN.md").read_text()
    assert page.startswith("before\n<!-- attack -->\n| 奖励 |")
    assert page.endswith("\n<!-- /attack -->\nafter\n")
    assert "old" not in page


def test_every_kind_of_text_has_a_chinese_name():
    task = Task("t", "Where is the frog?", "A frog sat on a stone.")
    kinds = {one.kind for one in cheats_of(task, task.answer, [task, Task("u", "p", "x")], stream(0, "attack", 0))}
    assert kinds <= set(rewards.KINDS)
