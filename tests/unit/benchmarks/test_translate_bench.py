"""The parts of `make bench-translate` that can be checked by hand: the table, what the reward adds, and going on."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[3] / "benchmarks"))

import translate
import translate_page as page

import small_pairs

SCORES = {"script": 0.9, "length": 1.0, "sampled chrf": 30.0, "parameters": 4_000_000, "minutes": 10.0}


def measured(bleu: float, chrf: float, steps: list[int], shown: str) -> dict[str, Any]:
    return {"bleu": bleu, "chrf": chrf, "steps": steps, "shown": [shown, "b"], **SCORES}


def record() -> dict[str, Any]:
    """BLEU rises by 2, 3 and 4 with the reward: mean 3, and 4.303 * 1 / sqrt(3) = 2.48 to either side."""
    cells = {}
    for seed in range(3):
        cells[f"marian/sft/{seed}"] = measured(20.0 + seed, 30.0, [100 + seed], f"s{seed}")
        cells[f"marian/sft, then rl/{seed}"] = measured(22.0 + 2 * seed, 29.0 - seed, [60, 5], f"r{seed}")
    cells["llama/sft/0"] = measured(10.0, 20.0, [200], "l|x")
    beside = {name: {**measured(5.0, 6.0, [], name), "parameters": 0} for name in ("dictionary", "copy", "reference")}
    for one in beside.values():
        for name in ("parameters", "minutes", "sampled chrf"):
            del one[name]
    return {
        "cells": cells, "beside": beside, "data": "django", "source": "en", "target": "zh_Hans", "minutes": 10.0,
        "seeds": 3, "machine": "a processor", "date": "2026-01-02", "sizes": [1000, 50, 2000],
        "sources": ["one", "two"],
        "split": "held_out", "packages": {},
    }  # fmt: skip


def test_means_have_intervals_over_seeds_and_baselines_have_none():
    lines = page.page_of(record(), chinese=False).split("\n")
    assert lines[2].startswith("| word for word |  |  |  | 5.0 | 6.0 | 0.90 | 1.00 |  |")
    # 20, 21, 22: mean 21, sd 1; 60, 5 steps are the medians
    assert lines[5].startswith(
        "| marian: SFT | 4.0M | 10.0 | 101 | 21.00 [18.52, 23.48] | 30.00 (no interval: all 3 scores are equal)"
    )
    assert lines[6].startswith(
        "| marian: SFT, then RLOO | 4.0M | 10.0 | 60 + 5 | 24.00 [19.03, 28.97] | 28.00 [25.52, 30.48]"
    )
    assert lines[7].startswith("| llama: SFT | 4.0M | 10.0 | 200 | 10.0 | 20.0 |")
    assert all(line.count("|") == lines[0].count("|") for line in lines[:8])
    assert "1,000 pairs to train on, 2,000 held out (BLEU by sacrebleu, tokenised by `zh`" in lines[9]


def test_the_minutes_of_the_seeds_are_told_as_they_were():
    uneven = record()
    uneven["cells"]["marian/sft/1"]["minutes"] = 6.74
    assert page.page_of(uneven, chinese=False).split("\n")[5].startswith("| marian: SFT | 4.0M | 6.7–10.0 | 101 |")


def test_what_the_reward_adds_is_paired_by_seed_whatever_it_is():
    told = page.added(record(), chinese=False)
    assert told == "marian: BLEU +3.000 [+0.516, +5.484] (more), chrF -2.000 [-4.484, +0.484] (may be chance)"
    worse = record()
    for seed in range(3):
        worse["cells"][f"marian/sft, then rl/{seed}"]["bleu"] = 10.0 + seed
        worse["cells"][f"marian/sft, then rl/{seed}"]["chrf"] = 20.0 + 0.1 * seed
    assert "chrF -9.90 [-10.15, -9.65] (less)" in page.added(worse, chinese=False)
    one = record()
    for seed in (1, 2):
        for arm in page.ARMS:
            del one["cells"][f"marian/{arm}/{seed}"]
    assert "BLEU +2.000 (no interval: a single difference) (may be chance)" in page.added(one, chinese=False)
    del one["cells"]["marian/sft/0"]
    assert page.added(one, chinese=False) == ""


def test_the_first_translations_stand_below_and_a_bar_does_not_break_the_table():
    lines = page.shown(record(), chinese=False).split("\n")
    assert lines[0] == "| source | reference | word for word | marian: sft | marian: sft, then rl | llama: sft |"
    assert lines[2] == "| one | reference | dictionary | s0 | r0 | l/x |"


def test_both_pages_get_the_table_between_their_marks(tmp_path):
    for name in ("translate.md", "translate.zh-CN.md"):
        (tmp_path / name).write_text("before\n<!-- translate -->\nold\n<!-- /translate -->\nafter\n", encoding="utf-8")
    page.write(record(), tmp_path)
    english, chinese = (
        (tmp_path / name).read_text(encoding="utf-8") for name in ("translate.md", "translate.zh-CN.md")
    )
    for text in (english, chinese):
        assert text.startswith("before\n<!-- translate -->\n| ")
        assert text.endswith("<!-- /translate -->\nafter\n")
        assert "old" not in text
        assert text.count("21.00 [18.52, 23.48]") == 1
    assert "逐词翻译" in chinese


@pytest.mark.parametrize("name", ["translate.md", "translate.zh-CN.md"])
def test_the_real_pages_have_the_marks_once(name):
    text = (page.DOCS / name).read_text(encoding="utf-8")
    assert (text.count("<!-- translate -->"), text.count("<!-- /translate -->")) == (1, 1)


@pytest.fixture
def args(tmp_path, monkeypatch) -> argparse.Namespace:
    monkeypatch.setenv("STROP_HOME", str(tmp_path / "home"))
    data = str(small_pairs.write(tmp_path / "toy.tsv"))
    return argparse.Namespace(
        data=data, source="en", target="zh_Hans", split="held_out", minutes=0.02, seeds=2, only=["marian"], workers=2,
        again=False,
    )  # fmt: skip


def test_what_is_done_is_kept_and_other_settings_are_refused(args, tmp_path, monkeypatch):
    done: list[tuple[str, str, int]] = []

    def in_a_process(shape, arm, seed, args):
        if len(done) == 3:
            raise SystemExit("stopped")
        done.append((shape, arm, seed))
        return measured(1.0, 2.0, [3], "x")

    monkeypatch.setattr(translate, "measured", in_a_process)
    args.workers = 1
    file = tmp_path / "translate.json"
    with pytest.raises(SystemExit, match="stopped"):
        translate.measure(args, file)
    assert len(json.loads(file.read_text(encoding="utf-8"))["cells"]) == 3
    monkeypatch.setattr(translate, "measured", lambda *job: measured(5.0, 2.0, [3], "x"))
    found = translate.measure(args, file)
    assert sorted(one["bleu"] for one in found["cells"].values()) == [1.0, 1.0, 1.0, 5.0]
    args.minutes = 5.0
    with pytest.raises(SystemExit, match=r"was begun with minutes=0.02, not 5.0: --again begins anew"):
        translate.measure(args, file)
    args.again = True
    assert [one["bleu"] for one in translate.measure(args, file)["cells"].values()] == [5.0] * 4


def test_scores_are_of_the_corpus(args):
    found = translate.pairs(args)
    references = [pair.target for pair in found.held_out]
    right = translate.scores_of(references, found, args)
    assert (right["bleu"], right["chrf"], right["script"], right["length"]) == pytest.approx((100.0, 100.0, 1.0, 1.0))
    copied = translate.beside(found, args)["copy"]
    assert (copied["bleu"], copied["script"]) == (pytest.approx(0.0, abs=1e-6), 0.0)


@pytest.mark.matrix
def test_a_cell_runs_at_a_tiny_size(args):
    found = translate.cell("marian", "sft, then rl", 0, args)
    assert len(found["steps"]) == 2
    assert found["parameters"] > 1_000_000
    assert 0.0 <= found["bleu"] <= 100.0
    assert len(found["shown"]) == translate.NUM_SHOWN
