"""Tools with the real model: it is told of them by the system message alone, and each stage runs."""

from dataclasses import replace

import pytest

import strop
from strop.recipes import tools
from strop.runs.progress import Progress

pytestmark = pytest.mark.task


@pytest.fixture
def few(monkeypatch):
    for name, number in (("NUM_TRAIN", 16), ("NUM_PLAYED", 16), ("NUM_JUDGED", 8)):
        monkeypatch.setattr(tools, name, number)


@pytest.mark.parametrize("method", ["rl", "none"])
def test_two_steps_of_each_stage_run(method, few, tmp_path):
    stages = [
        replace(stage, config=replace(stage.config, steps=2, prompts_per_step=2, group_size=4))
        for stage in tools.recipe(method=method, judged="development")
    ]
    run = strop.train(stages, tmp_path / "run", progress=Progress.silent())
    assert not [one.error for one in run.episodes() if one.error]
    assert 0.0 <= run.metrics()[-1]["held_out/gold"] <= 1.0


def test_the_longest_call_fits_into_a_turn():
    codec = tools.recipe(minutes=1.0)[0].config.resolve().build().codec
    assert codec is not None
    said = [text for task in tools.recipe()[0].config.tasks for text in task.data["calls"]]
    assert max(len(codec.encode(text.replace("RESULT", "9999999"))) for text in said) < tools.MAX_TOKENS


def test_its_template_knows_no_tools(few):
    with pytest.raises(ValueError, match="knows no tools"):
        tools.recipe(told="template")[0].config.resolve().build()
