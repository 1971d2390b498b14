"""Questions about countries and passages about invented lands, with the real table and the real model."""

from dataclasses import replace

import pytest

import strop
from strop.data.answer import answers, entity_of, kinds_of
from strop.recipes import answer, reading
from strop.runs.progress import Progress

pytestmark = pytest.mark.task


def test_the_table_has_what_the_page_says():
    found = answers()
    splits = (found.train, found.development, found.held_out)
    entities = [{entity_of(task) for task in split} for split in splits]
    assert sum(map(len, entities)) == len(set.union(*entities))
    assert [kinds_of(split)["capital"] for split in splits] == [104, 34, 94]


def test_the_start_model_answers_and_two_steps_of_each_stage_run(tmp_path, monkeypatch):
    monkeypatch.setattr(answer, "NUM_ASKED", 16)
    monkeypatch.setattr(answer, "NUM_JUDGED", 8)
    stages = answer.recipe("capitals", judged="development")
    few = {"steps": 2, "prompts_per_step": 2}
    run = strop.train(
        [replace(stage, config=replace(stage.config, **few)) for stage in stages],
        tmp_path / "run",
        progress=Progress.silent(),
    )
    assert -1.0 <= run.metrics()[-1]["held_out/answered"] <= 1.0
    assert 0.0 <= answer.calibration(run) <= 1.0


def test_two_steps_of_reading_run(tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "NUM_JUDGED", 8)
    stages = [
        replace(stage, config=replace(stage.config, steps=2, prompts_per_step=2))
        for stage in reading.recipe(judged="development")
    ]
    run = strop.train(stages, tmp_path / "run", progress=Progress.silent())
    assert 0.0 <= run.metrics()[-1]["held_out/gold/f1"] <= 1.0
