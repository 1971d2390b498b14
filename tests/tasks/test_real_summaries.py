"""Summaries on Debian's descriptions, with the real model: a few steps of both stages."""

from __future__ import annotations

from dataclasses import replace

import pytest

import strop
from strop.data.summarise import SUMMARY, summaries
from strop.data.twins import leaks
from strop.recipes import summarise

pytestmark = pytest.mark.task


def test_debian_gives_thousands_of_pairs_and_no_leak():
    found = summaries()
    assert len(found.train) > 5000
    assert min(len(found.development), len(found.held_out)) > 300
    held = [*found.development, *found.held_out]
    assert not leaks(found.train, held, 0.5)
    names = [{str(task.data["family"]) for task in part} for part in (found.train, found.development, found.held_out)]
    assert not names[0] & names[1]
    assert not (names[0] | names[1]) & names[2]
    assert all(len(task.answer.split()) in SUMMARY for task in held)


def test_both_stages_take_steps_on_the_real_model(tmp_path):
    stages = [
        strop.Stage(one.name, replace(one.config, steps=3, minutes=None, held_out=one.config.held_out[:8]))
        for one in summarise.recipe(judged="development")
    ]
    run = strop.train(stages, tmp_path / "run", progress=False)
    assert {"held_out/rouge", "held_out/gold/meaning", "held_out/gold/chrf"} <= set(run.metrics()[-1])
