"""Recommendation on MovieLens: what is asked, what the rules get, and a step of the real model."""

from __future__ import annotations

from dataclasses import replace

import pytest

import strop
from strop.data.recommend import recommended
from strop.recipes.recommend import Popularity, Together, genres, recipe
from strop.types import Observation

pytestmark = pytest.mark.task
SEEN = Observation("", (), 0, None)


def share_right(rule, tasks):
    return sum(rule(task, SEEN) == task.answer for task in tasks) / len(tasks)


def test_popularity_tells_nothing_and_genres_and_people_do():
    found = recommended()
    assert len(found.train) > 2000
    assert len(found.held_out) > 300
    judged = [*found.development, *found.held_out]
    error = (0.25 * 0.75 / len(judged)) ** 0.5
    assert share_right(Popularity().fit(found.train), judged) == pytest.approx(0.25, abs=3 * error)
    assert share_right(genres, judged) > 0.25 + 3 * error
    assert share_right(Together().fit(found.train), judged) > 0.45


@pytest.mark.parametrize(("method", "say"), [("rl", "title"), ("sft", "letter")])
def test_the_real_model_takes_a_step_and_is_judged(method, say, tmp_path):
    config = recipe(model="smollm2", method=method, say=say, judged="development")
    short = replace(
        config, held_out=config.held_out[:20], steps=2, prompts_per_step=8, group_size=4, minutes=None, threads=1
    )
    run = strop.train(short, tmp_path / "run", progress=False)
    judged = [row for row in run.metrics() if "held_out/right" in row]
    assert 0.0 <= judged[-1]["held_out/right"] <= 1.0
    assert not [episode.error for episode in run.episodes() if episode.error]
