"""Customer service with the real model: the moves are choices that it can tell apart, and each stage runs."""

from dataclasses import replace

import pytest

import strop
from strop.recipes import support
from strop.runs.progress import Progress

pytestmark = pytest.mark.task


@pytest.mark.parametrize("language", ["en", "zh"])
def test_two_steps_of_each_stage_run(language, tmp_path, monkeypatch):
    for name, number in (("NUM_TRAIN", 16), ("NUM_LOGGED", 16), ("NUM_JUDGED", 8)):
        monkeypatch.setattr(support, name, number)
    stages = [
        replace(stage, config=replace(stage.config, steps=2, prompts_per_step=2, group_size=4))
        for stage in support.recipe(language, judged="development")
    ]
    run = strop.train(stages, tmp_path / "run", progress=Progress.silent())
    assert not [one.error for one in run.episodes() if one.error]
    assert {turn.text for one in run.episodes() for turn in one.turns} <= set(support.moves(language))
    assert 0.0 <= run.metrics()[-1]["held_out/gold"] <= 1.0
