"""SmolLM2-135M itself: two steps of the main job on a device."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from gpu.accelerator import Accelerator
from gpu.families import train
from strop.hub.models import local_models
from strop.policies.adapters import LoRA
from strop.recipes import story
from strop.runs.guards import GapTolerance

MISSING = (
    "SmolLM2 is not in the local cache: `strop models get smollm2` (93 MB), or leave this out: -m 'gpu and not model'"
)


@pytest.mark.model
@pytest.mark.parametrize("lora", [LoRA(rank=16, num_layers=10), None], ids=["lora", "full"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_two_steps_of_story(accelerator: Accelerator, dtype: str, lora: LoRA | None, tmp_path: Path) -> None:
    """The sampler's log-probs are the learner's within the tolerance, and what trains has moved and stays there."""
    if not any(one.name == "smollm2" and one.path is not None for one in local_models()):
        pytest.fail(MISSING, pytrace=False)
    recipe = story.recipe()
    recipe = replace(
        recipe,
        policy=replace(recipe.policy, lora=lora),
        held_out=recipe.held_out[:4],
        gold={},
        steps=2,
        dtype=dtype,
        device=accelerator.name,
    )
    with accelerator.computing():
        run = train(recipe, tmp_path / "run")
        start, _ = recipe.policy.build(recipe.seed, dtype, accelerator.name)
    steps, allowed = [one for one in run.metrics() if "optimizer/loss" in one], GapTolerance.of(dtype)
    assert len(steps) == 2
    for step in steps:
        assert allowed.max is None or step["policy/sampler_gap_max"] <= allowed.max
        assert allowed.mean is None or step["policy/sampler_gap_mean"] <= allowed.mean
    moved = [not torch.equal(*both) for both in zip(run.policy.parameters(), start.parameters(), strict=True)]
    assert any(moved)
    assert {str(one.device) for one in run.policy.parameters()} == {accelerator.name}
