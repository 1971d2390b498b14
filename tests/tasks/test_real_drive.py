"""Driving on highway-env: what the rule, chance and a held wheel get, and a few steps of both stages."""

from __future__ import annotations

from dataclasses import replace

import pytest

import strop
from strop.beside import attempts_of
from strop.recipes import drive
from strop.recipes.drive import recipe

pytestmark = pytest.mark.task


def test_the_rule_earns_more_and_crashes_less_than_chance_and_a_held_wheel():
    config = recipe(teacher="none")
    found = attempts_of(replace(config, held_out=config.held_out[:30]).resolve())
    means = {
        name: [sum(getattr(one, of) for one in found if one.baseline == name) / 30 for of in ("reward", "gold")]
        for name in config.baselines
    }
    for other in ("random", "hold"):
        assert means["rule"][0] > means[other][0] + 4.0
        assert means["rule"][1] > means[other][1] + 0.4


@pytest.mark.parametrize("policy", ["scratch", "mlp"])
def test_both_stages_train_and_are_judged(policy, tmp_path, monkeypatch):
    monkeypatch.setattr(drive, "NUM_TAUGHT", 8)
    stages = [
        replace(
            stage,
            config=replace(
                stage.config, steps=steps, prompts_per_step=4, held_out=stage.config.held_out[:5], minutes=None
            ),
        )
        for stage, steps in zip(recipe(policy), (40, 2), strict=True)
    ]
    run = strop.train(stages, tmp_path / "run", progress=False)
    assert not [episode.error for episode in run.episodes() if episode.error]
    assert 0.0 <= run.metrics()[-1]["held_out/gold/safe"] <= 1.0
