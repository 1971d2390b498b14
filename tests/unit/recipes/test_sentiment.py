"""The recipe of decisions on texts, on a small file and a tiny model."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

import strop
import tiny_hf
from strop.cli.main import main
from strop.data.labelled import Text
from strop.data.sentiment import Found, Question, sentiment, tasks_of
from strop.recipes.sentiment import UNSURE, baselines_of, marked, model_for, recipe, right_where_unsure
from strop.types import Unscored

GOOD, BAD = ("joy", "warm", "fresh", "bright"), ("dull", "cold", "stale", "bleak")


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STROP_HOME", str(tmp_path / "home"))
    sentiment.cache_clear()
    rows = [
        {"text": f"{word} n{i} m{i} {word}", "label": label}
        for label, words in (("yes", GOOD), ("no", BAD))
        for i, word in enumerate(words * 10)
    ]
    Path("small.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    tiny_hf.make(Path("tiny"))


def small(**given):
    return recipe(data="small.jsonl", model="tiny", **given)


def test_the_actions_are_the_labels_and_the_splits_share_no_text():
    config = small()
    assert set(config.sampling.choices) == {" yes", " no"}
    assert (len(config.tasks), len(config.held_out)) == (64, 8)
    development = small(judged="development").held_out
    texts = [{task.prompt[-1]["content"] for task in tasks} for tasks in (config.tasks, config.held_out, development)]
    assert not texts[0] & texts[1]
    assert not texts[0] & texts[2]
    assert not texts[1] & texts[2]
    assert len(small(train=10).tasks) == 10


def test_gold_is_the_half_of_which_word_counts_are_least_sure():
    """Of two texts that hold a known word word counts are sure, of two strange ones they are not."""
    texts = ["joy n1", "who knows", "dull n2", "who asks"]
    judged = tasks_of([Text(text, "yes") for text in texts], "x", Question("", ""))
    found = marked(judged, small().tasks)
    assert [task.data[UNSURE] for task in found] == [False, True, False, True]
    assert [(task.id, task.prompt, task.answer) for task in found] == [(t.id, t.prompt, t.answer) for t in judged]
    assert sum(task.data[UNSURE] for task in small().held_out) == 4


def test_gold_counts_right_answers_of_that_half_alone():
    class Said:
        text = " yes"

    unsure = strop.Task("1", "", " yes", {UNSURE: True})
    assert right_where_unsure(unsure, Said) == 1.0
    assert right_where_unsure(strop.Task("2", "", " no", {UNSURE: True}), Said) == 0.0
    assert isinstance(right_where_unsure(strop.Task("3", "", " yes", {UNSURE: False}), Said), Unscored)


@pytest.mark.parametrize(
    ("lexicon", "names"), [(False, ["majority", "tf-idf"]), (True, ["majority", "tf-idf", "VADER"])]
)
def test_the_lexicon_stands_beside_it_only_where_it_may(lexicon, names):
    texts = sentiment("small.jsonl").texts
    assert list(baselines_of(Found(texts, Question("", ""), lexicon))) == names


@pytest.mark.parametrize("method", ["rl", "sft"])
def test_both_methods_are_judged_by_their_probabilities_and_stand_beside_word_counts(method):
    """Word counts are right about every text: its word stands in it, and numbers say nothing."""
    config = replace(small(method=method), steps=2, prompts_per_step=4, group_size=2, minutes=None)
    run = strop.train(config, "runs/r", progress=False)
    judged = [row for row in run.metrics() if "held_out/right" in row]
    assert {"held_out/calibration_error", "held_out/brier", "held_out/gold/unsure"} <= set(judged[-1])
    assert {episode.text for episode in run.episodes()} <= {" yes", " no"}
    beside = [json.loads(line) for line in Path("runs/r/baselines.jsonl").read_text().splitlines()]
    assert {one["reward"] for one in beside if one["baseline"] == "tf-idf"} == {1.0}
    assert {one["text"] for one in beside if one["baseline"] == "majority"} in ({" no"}, {" yes"})


def test_sft_learns_the_labels_without_an_end_and_rl_has_no_kl():
    sft, rl = (small(method=method).algorithm for method in ("sft", "rl"))
    assert isinstance(sft, strop.algorithms.SFT.Config)
    assert not sft.end
    assert rl.kl.weight == 0.0


def test_the_command_takes_the_fields_of_the_recipe(capsys):
    assert main(["train", "sentiment", "data=small.jsonl", "model=tiny", "train=20", "--dry-run"]) == 0
    said = capsys.readouterr()
    assert "small.jsonl: 64 texts to train on" in said.err
    assert main(["train", "sentiment", "data=smal.jsonl"]) != 0
    assert "there is no such file" in capsys.readouterr().err


@pytest.mark.parametrize("method", ["rl", "sft"])
def test_an_encoder_from_scratch_reads_texts_that_no_model_knows(method, tmp_path):
    """What decides is one word of eight; the others of a text stand in it alone."""
    config = recipe(data="small.jsonl", model="scratch", method=method)
    assert all(isinstance(task.prompt, str) for task in [*config.tasks, *config.held_out])
    run = strop.train(replace(config, steps=20, minutes=None, threads=1), tmp_path / "run", progress=False)
    first, last = (row for row in run.metrics() if "held_out/right" in row)
    assert first["held_out/right"] == 0.5
    assert last["held_out/right"] == 1.0


def test_only_chinese_reviews_go_to_the_encoder_by_themselves():
    assert [model_for("auto", data) for data in ("zh", "pang-lee", "mine.csv")] == ["scratch", "smollm2", "smollm2"]
    assert [model_for(model, "zh") for model in ("scratch", "folder")] == ["scratch", "folder"]
