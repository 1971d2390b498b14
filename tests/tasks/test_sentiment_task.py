"""Sentiment on its real data: every source is read, split without leaks, and learnt from for a few steps."""

from __future__ import annotations

from dataclasses import replace

import pytest

import strop
from strop.baselines import TfIdf
from strop.data.sentiment import SOURCES, sentiment, tasks_of
from strop.data.twins import leaks
from strop.recipes.sentiment import recipe

pytestmark = pytest.mark.task
FEWEST = {"pang-lee": 3200, "pang-lee-long": 1150, "films": 9000, "zh": 16000, "bbc": 1600, "20newsgroups": 16000}
"""Texts to train on, rounded down from what there is."""
LIKE = 0.9
"""How rare a run of words is, and with it a similarity, depends on the texts looked at: all, or those of two splits."""


@pytest.mark.parametrize("name", SOURCES)
def test_the_splits_hold_every_label_and_share_no_twin(name):
    found = sentiment(name)
    texts = found.texts
    assert len(texts.train) >= FEWEST[name]
    assert len(texts.held_out) >= 150
    assert len(texts.labels) == {"bbc": 5, "20newsgroups": 20}.get(name, 2)
    for part in (texts.train, texts.development, texts.held_out):
        assert {one.label for one in part} == set(texts.labels)
    train, held_out, development = (
        [strop.Task(str(i), one.text) for i, one in enumerate(part)]
        for part in (texts.train[:2000], texts.held_out, texts.development)
    )
    assert not leaks(train, held_out, LIKE)
    assert not leaks(development, held_out, LIKE)


@pytest.mark.parametrize("name", ["pang-lee", "zh", "bbc"])
def test_word_counts_find_most_labels(name):
    """Of two labels chance is right about half, of the five topics about a quarter."""
    found = sentiment(name)
    train, judged = (tasks_of(part, "x", found.question) for part in (found.texts.train, found.texts.development))
    fitted = TfIdf().fit(train)
    seen = [strop.Observation(task.prompt[-1]["content"], (), 0, None) for task in judged]
    right = sum(fitted(task, one) == task.answer for task, one in zip(judged, seen, strict=True))
    assert right / len(judged) > 0.7


@pytest.mark.parametrize("method", ["rl", "sft"])
def test_the_real_model_takes_a_step_and_is_judged(method, tmp_path):
    config = recipe(method=method, judged="development")
    short = replace(
        config, held_out=config.held_out[:40], steps=2, prompts_per_step=8, group_size=4, minutes=None, threads=1
    )
    run = strop.train(short, tmp_path / "run", progress=False)
    judged = [row for row in run.metrics() if "held_out/right" in row]
    assert judged[0]["held_out/right"] >= 0.6
    assert 0.0 <= judged[-1]["held_out/calibration_error"] <= 1.0
