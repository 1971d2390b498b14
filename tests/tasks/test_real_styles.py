"""Each style with the real model and the real dictionary: a few steps of both stages."""

from __future__ import annotations

from dataclasses import replace

import pytest

import strop
from strop.recipes import style

pytestmark = pytest.mark.task
GOLD = {"grimm": "bayes", "simple": "easy", "haiku": "counted"}


@pytest.mark.parametrize("name", GOLD)
def test_both_stages_take_steps_on_the_real_model(name, tmp_path):
    stages = [
        strop.Stage(one.name, replace(one.config, steps=2, minutes=None, held_out=one.config.held_out[:8]))
        for one in style.recipe(name, judged="development")
    ]
    run = strop.train(stages, tmp_path / "run", progress=False)
    assert {"held_out/reward", f"held_out/gold/{GOLD[name]}"} <= set(run.metrics()[-1])


def test_most_imitated_haiku_are_exact_by_the_dictionary_too():
    """Two counters that know nothing of each other: where they differ, a word is unknown or has two pronunciations."""
    from strop.rewards._syllables import syllables_of

    lines = [
        (line, want)
        for task in style.demonstrations("haiku")
        for line, want in zip(task.answer.split("\n"), (5, 7, 5), strict=True)
    ]
    counts = [(syllables_of(line, "dictionary"), want) for line, want in lines]
    known = [(sum(count), want) for count, want in counts if None not in count]
    assert len(known) > 0.8 * len(lines)
    assert sum(count == want for count, want in known) > 0.85 * len(known)
