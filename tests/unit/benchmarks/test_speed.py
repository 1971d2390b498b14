"""The parts of `make bench` that can be checked by hand: slopes, points, commands, and the tables of the pages."""

from __future__ import annotations

import argparse
import json
import random
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[3] / "benchmarks"))

import all as everything
import cartpole_speed
import growth
import pages
import ppo
import tabular
import training
from side_by_side import Measured, short, spread

from strop.policies.scratch import Scratch

# ---------------------------------------------------------------- growth


def test_the_slope_is_the_power_of_the_size() -> None:
    sizes = [1, 2, 4, 8]
    assert growth.slope(sizes, [3.0 * size**1.5 for size in sizes]) == pytest.approx(1.5)
    assert growth.slope(sizes, [7.0] * 4) == pytest.approx(0.0)


def test_a_cliff_is_the_worst_doubling() -> None:
    assert growth.worst_doubling([1, 2, 4, 8], [1.0, 2.0, 10.0, 20.0]) == pytest.approx(5.0)
    assert growth.worst_doubling([1, 4], [1.0, 16.0]) == pytest.approx(4.0)  # two doublings, each by 4


def test_growth_takes_the_median_of_time_and_the_peak_of_memory() -> None:
    def runs(seconds: float, gigabytes: float) -> list[Measured]:
        slow = Measured([9.0 * seconds], 1, peak_gigabytes=gigabytes / 2)
        return [Measured([seconds, seconds], 1, peak_gigabytes=gigabytes), slow, Measured([seconds], 1)]

    found = growth.growths({"group 8": runs(1.0, 0.5), "group 16": runs(2.0, 0.5), "tokens 4": runs(1.0, 1.0)} | more)
    assert [(one.along, one.sizes, one.seconds) for one in found] == [
        ("group", [8, 16], [1.0, 2.0]),
        ("tokens", [4, 8], [1.0, 4.0]),
    ]
    assert [round(one.slope, 6) for one in found] == [1.0, 2.0]
    assert (found[0].gigabytes, found[0].worst_memory) == ([0.5, 0.5], 1.0)


more = {"tokens 8": [Measured([4.0], 1, peak_gigabytes=1.0)]}


def test_points_double_one_size_and_keep_the_others() -> None:
    made = growth.points({"group": 2, "tokens": 8}, (1, 4))
    assert made == {
        "group 2": {"group": 2, "tokens": 8},
        "group 8": {"group": 8, "tokens": 8},
        "tokens 8": {"group": 2, "tokens": 8},
        "tokens 32": {"group": 2, "tokens": 32},
    }


@pytest.mark.matrix
def test_growth_is_drawn(tmp_path: Path) -> None:
    found = growth.growths({"group 1": more["tokens 8"], "group 2": more["tokens 8"]})
    assert growth.draw(found, tmp_path / "growth.png").stat().st_size > 1000
    assert growth.table(found).row_count == 1


# ---------------------------------------------------------------- the peers that are written by hand


def test_advantages_by_hand_are_those_of_the_paper() -> None:
    rewards_BT, value_BT = torch.tensor([[0.5, -0.25]]), torch.tensor([[1.0, 2.0]])
    last = -0.25 + 3.0 - 2.0  # the reward of the answer falls on the last token, and nothing follows
    first = (0.5 + 2.0 - 1.0) + ppo.TRACE * last
    found = ppo.gae(rewards_BT, torch.tensor([3.0]), value_BT)
    assert found[0].tolist() == pytest.approx([first, last])
    assert rewards_BT.tolist() == [[0.5, -0.25]]


@pytest.mark.matrix
def test_both_sides_of_ppo_take_the_same_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    def sequences(args: argparse.Namespace) -> Any:
        policy, _ = Scratch(words=[f"w{i}" for i in range(20)], width=16).build(0, args.dtype)
        return policy, [(1, 2, 3)] * 2, [(4, 5, 6, 7), (8, 9, 10, 11)]

    monkeypatch.setattr(ppo, "sequences", sequences)
    monkeypatch.setattr(ppo, "LR", 1e-3)
    args = argparse.Namespace(prompts=1, group=2, tokens=4, steps=1, dtype="float32", epochs=3)
    ours, theirs = ppo.strop_side(args).notes["first_loss"], ppo.transformers_side(args).notes["first_loss"]
    assert ours == pytest.approx(theirs, abs=1e-4)
    assert ours < 0  # the steps before it have lowered the loss


def test_prompts_are_padded_on_the_left() -> None:
    tokens_BT, mask_BT, width = training.padded([(1,), (2, 3)], [(4, 5), (6, 7)])
    assert width == 2
    assert tokens_BT.tolist() == [[0, 1, 4, 5], [2, 3, 6, 7]]
    assert mask_BT.tolist() == [[0, 1, 1, 1], [1, 1, 1, 1]]


def test_the_table_by_hand_learns_the_way_out() -> None:
    table: dict[int, list[float]] = {}
    dice = random.Random(0)
    lengths = [tabular.episode(table, 4, 2, dice) for _ in range(300)]
    assert max(table[0]) == pytest.approx(tabular.DISCOUNT**2, abs=1e-3)  # 1 behind two rooms
    assert min(lengths) == 3


# ---------------------------------------------------------------- all of them


def test_every_benchmark_has_a_file_and_a_title_in_both_languages() -> None:
    for words in (*everything.PLAIN, *everything.PEERS):
        path = Path(everything.command(words, [], None)[1])
        assert path.exists(), path
        if path.stem not in ("growth", "startup"):
            assert path.stem in pages.CHINESE.titles


def test_a_tiny_run_keeps_nothing() -> None:
    made = everything.command("sft --label x", ["--threads", "1"], Path("nowhere"))
    assert made[-4:] == ["--repeats", "1", "--out", "nowhere"]
    assert made[2:6] == ["--label", "x", "--threads", "1"]


# ---------------------------------------------------------------- pages

RUN: dict[str, Any] = {"seconds": [1.0, 3.0, 2.0], "units": 10.0, "notes": {}, "curve": [], "peak_gigabytes": 1.5}
RECORD: dict[str, Any] = {
    "name": "sft",
    "about": "SFT step",
    "unit": "tokens",
    "peer": "trl",
    "command": "python benchmarks/sft.py",
    "date": "2026-01-02",
    "machine": "a processor",
    "threads": 2,
    "packages": {"torch": "2.0"},
    "sides": {"strop": [RUN], "trl": [RUN | {"units": 5.0, "peak_gigabytes": 2.0}]},
    "ratios": {"strop": [2.0, 2.5, 1.5]},
}


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    for name in pages.PAGES:
        (tmp_path / name).write_text("before\n<!-- speed -->\nold\n<!-- /speed -->\nafter\n")
    return tmp_path


def kept(folder: Path, **results: dict[str, Any]) -> Path:
    for name, record in results.items():
        (folder / f"{name.replace('_', '-')}.json").write_text(json.dumps(record))
    return folder


def test_a_page_shows_both_sides_their_ratio_and_where_it_was_measured(docs: Path) -> None:
    kept(docs, sft_small=RECORD, frontier={"rows": []})
    pages.write(docs, docs)
    page = (docs / "benchmarks.md").read_text()
    assert page.startswith("before\n<!-- speed -->\n| ")
    assert page.endswith("\n<!-- /speed -->\nafter\n")
    row = "| 1 | SFT step (small) | strop | trl | 5 tokens | 2.5 tokens | 2.00 [1.50, 2.50] | 1.50 / 2.00 |"
    assert row in page  # 10 tokens in 2 s against 5
    assert "1. 2026-01-02, a processor, 2 threads, torch 2.0: `python benchmarks/sft.py`" in page
    assert "growth" not in page
    assert "SFT 一步" in (docs / "benchmarks.zh-CN.md").read_text()


def test_without_results_a_page_says_so(docs: Path) -> None:
    pages.write(docs, docs)
    assert "Not measured yet" in (docs / "benchmarks.md").read_text()


def test_what_was_learnt_stands_beside_the_interval_of_the_peer() -> None:
    def run(mean: float) -> dict[str, Any]:
        return RUN | {"curve": [mean - 0.1, mean + 0.1]}

    record = RECORD | {"file": "learning", "sides": {"strop": [run(0.5)], "trl": [run(0.4), run(0.6)]}}
    (row,) = pages.learning_rows(3, record, pages.ENGLISH)
    assert row == "| 3 | 1 | 0.500 | 0.500 | [0.400, 0.600] | within |"
    assert pages.learning_rows(3, RECORD | {"file": "sft"}, pages.ENGLISH) == []


def test_the_share_of_the_matrix_rate_stands_for_every_side_that_measured_it() -> None:
    runs = [{"notes": {pages.SHARE: share}} for share in (0.5, 0.9)]
    record = RECORD | {"sides": {"strop": runs, "trl": [{"notes": {}}]}, "file": "training", "name": "training"}
    assert pages.share_rows(2, record, pages.CHINESE) == ["| 2 | 训练一步，SmolLM2-135M | strop | 0.70 [0.50, 0.90] |"]
    assert pages.share_rows(2, RECORD | {"file": "sft"}, pages.ENGLISH) == []


def test_start_up_and_growth_have_tables_of_their_own() -> None:
    startup = RECORD | {"file": "startup", "peer": None, "ratios": {}, "limits": {"strop": 0.3}}
    along = {
        "along": "group", "sizes": [1, 2], "seconds": [0.5, 1.0], "gigabytes": [1.0, 1.0],
        "slope": 1.0, "worst": 2.0, "memory_slope": 0.0, "worst_memory": 1.0,
    }  # fmt: skip
    grown = RECORD | {"file": "growth", "peer": None, "ratios": {}, "growth": [along]}
    text = pages.section([startup, grown], pages.CHINESE)
    assert "| `strop` (1) | 2.00 [1.00, 3.00] | 0.3 |" in text
    assert "| 组 (2) | 1, 2 | 0.50, 1.00 | 1.00 | 2.00 | 1.00, 1.00 | 0 | 1.00 |" in text
    assert "(growth.png)" in text
    assert pages.speed_rows(1, startup, pages.ENGLISH) == []


def test_small_numbers_keep_two_digits() -> None:
    assert (short(12.345), short(0.00123)) == ("12.35", "0.0012")
    assert spread([0.01, 0.02, 2.0]) == "0.02 [0.01, 2.00]"


# ---------------------------------------------------------------- the same work


@pytest.mark.parametrize("algorithm", ["DQN", "PPO"])
def test_the_same_settings_are_the_same_network(algorithm: str) -> None:
    # control_ours.py may give a task another network: here both sides have one
    config = cartpole_speed.our_config(algorithm, seed=0)
    assert config.policy.hidden == cartpole_speed.HIDDEN
    assert config.policy.value_head == (algorithm == "PPO")
