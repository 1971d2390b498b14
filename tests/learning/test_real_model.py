"""SmolLM2-135M itself, where it is local: what toy models cannot show."""

from __future__ import annotations

from pathlib import Path

import pytest

import strop
from strop.hub.models import local_models
from strop.policies.computing import has_bfloat16
from strop.recipes.story import story_tasks
from strop.runs.guards import GapTolerance

IS_LOCAL = any(one.name == "smollm2" and one.path is not None for one in local_models())
pytestmark = [
    pytest.mark.model,
    pytest.mark.slow,
    pytest.mark.skipif(not IS_LOCAL, reason="SmolLM2 is not in the local cache: strop models get smollm2"),
]


def length(task: strop.Task, episode: strop.Episode) -> float:
    return float(len(episode.text))


@pytest.mark.parametrize("lora", [None, strop.policies.LoRA(rank=4)], ids=["full", "lora"])
@pytest.mark.parametrize("temperature", [1.0, 0.7])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_sampler_and_trainer_agree_within_the_tolerance(
    dtype: str, temperature: float, lora: strop.policies.LoRA | None, tmp_path: Path
) -> None:
    if dtype == "bfloat16" and not has_bfloat16():
        pytest.skip("this processor does not multiply bfloat16")
    run = strop.train(
        strop.TrainConfig(
            policy=strop.policies.Transformer.Config(lora=lora),
            tasks=story_tasks("train", 8),
            rewards=[length],
            algorithm=strop.algorithms.GRPO.Config(optimizer=strop.optimizer.AdamW(lr=1e-5)),
            sampling=strop.Sampling(max_tokens=32, temperature=temperature),
            group_size=8,
            prompts_per_step=4,
            steps=2,
            dtype=dtype,
        ),
        tmp_path / "run",
    )
    allowed = GapTolerance.of(dtype)
    for step in run.metrics():
        if allowed.max is not None:
            assert step["policy/sampler_gap_max"] <= allowed.max
        if allowed.mean is not None and allowed.bias is not None:
            assert step["policy/sampler_gap_mean"] <= 0.5 * allowed.mean / temperature  # a rounded head: 0.033
            assert abs(step["policy/sampler_gap_bias"]) <= allowed.bias
