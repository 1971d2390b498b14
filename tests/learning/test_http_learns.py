"""GRPO learns to copy a word from rollouts over HTTP, as it learns from its own."""

from dataclasses import replace

import pytest

import http_server
import strop
from strop.recipes import copy_word


def config() -> strop.TrainConfig:
    """copy_word with a smaller policy, and smaller groups."""
    recipe = copy_word.recipe()
    assert isinstance(recipe.policy, strop.policies.Scratch)
    small = replace(recipe.policy, num_layers=1, width=32)
    algorithm = strop.algorithms.GRPO.Config(optimizer=strop.optimizer.AdamW(lr=1e-2))
    return replace(recipe, policy=small, algorithm=algorithm, group_size=8, held_out=(), steps=25, threads=1)


@pytest.mark.learning
def test_grpo_over_http_learns_as_it_does_embedded(tmp_path, monkeypatch):
    """Chance is 1/8. Embedded, with the same seed, ends where it ends here: both have learnt nearly all words."""
    one = config()
    with http_server.learning(one, tmp_path / "weights", monkeypatch) as listening:
        run = strop.train(replace(one, engine=listening.engine), tmp_path / "http", progress=False)
    beside = strop.train(one, tmp_path / "embedded", progress=False)
    ends = [sum(step["reward/mean"] for step in of.metrics()[-3:]) / 3 for of in (run, beside)]
    print(f"over HTTP {ends[0]:.3f}, embedded {ends[1]:.3f}")
    assert run.metrics()[0]["reward/mean"] < 0.35
    assert min(ends) > 0.8
    assert sum(step["engine/failed_attempts"] for step in run.metrics()) == 0
