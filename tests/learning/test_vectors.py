"""A network over vectors learns through the whole path: environment, rollout, batch, update, run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import strop
from strop.environments.gymnasium import from_gymnasium
from strop.runs.progress import Progress
from strop.types import AlgorithmConfig, Task
from unit.environments.toy_gym import Sides, same_action

pytestmark = pytest.mark.learning
SEEDS = [0, 1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (2, 3, 4))]
ADAM = strop.optimizer.AdamW(lr=2e-2)
ALGORITHMS = {
    "reinforce": strop.algorithms.REINFORCE.Config(optimizer=ADAM),
    "rloo": strop.algorithms.RLOO.Config(optimizer=ADAM),
}


def probe(algorithm: AlgorithmConfig, make: Any, seed: int) -> strop.TrainConfig:
    return strop.TrainConfig(
        policy=strop.policies.MLP.Config(actions=("0", "1"), size=1, hidden=(16,)),
        tasks=[Task("probe", "")],
        environment=from_gymnasium(make),
        algorithm=algorithm,
        sampling=strop.Sampling(max_tokens=1),
        group_size=32,
        prompts_per_step=1,
        steps=40,
        seed=seed,
        threads=1,
    )


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("make", [same_action, Sides])
@pytest.mark.parametrize("name", ALGORITHMS)
def test_the_policy_of_a_probe_becomes_certain(name: str, make: Any, seed: int, tmp_path: Path) -> None:
    run = strop.train(probe(ALGORITHMS[name], make, seed), tmp_path / "run", progress=Progress.silent())
    logits_BV, _ = run.policy.prefill([run.parts.codec.start(f"[{side}]") for side in (-1.0, 1.0)])
    right = [1, 1] if make is same_action else [0, 1]
    probs_B = logits_BV.softmax(-1)[[0, 1], right]
    assert probs_B.min() > 0.9  # at the start 0.5; the optimum is 1


@pytest.mark.parametrize("seed", SEEDS)
def test_reinforce_balances_the_pole(seed: int, tmp_path: Path) -> None:
    # at random it stands about 22 turns, and 500 are the most; the recipe's 25 steps reach them
    pytest.importorskip("gymnasium")
    from strop.recipes.cartpole import recipe

    run = strop.train(replace(recipe(), seed=seed, steps=14, held_out=[]), tmp_path / "run", progress=Progress.silent())
    means = [one["reward/mean"] for one in run.metrics()]
    assert means[0] < 50
    assert max(means) > 200
