"""Runs on a counted n-gram model, by every family of algorithms: finite, and resumed bit for bit."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import strop
from strop.policies.ngram import NGram
from strop.policies.steered import Steered
from strop.runs.directory import RunDirectory
from strop.runs.state import same
from strop.types import Episode, Task

pytestmark = pytest.mark.matrix

WORDS = ("red", "blue", "green", "black")
ADAM = strop.optimizer.AdamW(lr=0.05)
TASKS = [
    Task(word, word, answer=f"{word} green", data={"chosen": f"{word} green", "rejected": "black red blue"})
    for word in WORDS[:2]
]


def copied(task: Task, episode: Episode) -> float:
    return float(episode.text.split()[:1] == [task.prompt])


@pytest.fixture(scope="module")
def counted(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A run that counted a few lines."""
    folder = tmp_path_factory.mktemp("counted") / "run"
    config = strop.TrainConfig(
        policy=strop.policies.NGram.Config(words=WORDS, capacity=9),
        tasks=[Task(f"{a}-{b}", a, answer=f"{b} {a} green") for a in WORDS for b in WORDS],
        algorithm=strop.algorithms.Counting.Config(),
        steps=1,
        threads=1,
    )
    strop.train(config, folder)
    return str(folder)


@cache
def algorithms() -> dict[str, Any]:
    kinds = strop.algorithms
    return {
        "rloo": kinds.RLOO.Config(optimizer=ADAM, kl=strop.functional.KL(weight=0.05), epochs=2),
        "grpo": kinds.GRPO.Config(optimizer=ADAM, kl=strop.functional.KL(weight=0.05)),
        "ppo": kinds.PPO.Config(optimizer=ADAM, kl=strop.functional.KL(weight=0.05), minibatches=2),
        "dqn": kinds.DQN.Config(optimizer=ADAM, target_every=2, n_step=2),
        "ilql": kinds.ILQL.Config(optimizer=ADAM),
        "sft": kinds.SFT.Config(optimizer=ADAM),
        "dpo": kinds.DPO.Config(optimizer=ADAM),
        "kto": kinds.KTO.Config(optimizer=ADAM),
    }


def config(name: str, start: str) -> strop.TrainConfig:
    policy: Any = strop.FromRun(run=start, value_head=name in ("ppo", "ilql"))
    memory = {
        "dqn": strop.memory.Prioritised.Config(capacity=50, size=8, n_step=2),
        "ilql": strop.memory.Replay.Config(capacity=50, size=8),
    }
    return strop.TrainConfig(
        policy=Steered.Config(base=policy) if name == "ilql" else policy,
        tasks=TASKS,
        held_out=[replace(task, id=f"{task.id}-held-out") for task in TASKS],
        rewards=[copied],
        algorithm=algorithms()[name],
        memory=memory.get(name),
        sampling=strop.Sampling(temperature=0.0, epsilon=0.3, max_tokens=3)
        if name == "dqn"
        else strop.Sampling(max_tokens=3),
        group_size=4,
        prompts_per_step=2,
        steps=4,
        eval_every=2,
        checkpoint_every=2,
        threads=1,
    )


@pytest.mark.parametrize("name", ["rloo", "grpo", "ppo", "dqn", "ilql", "sft", "dpo", "kto"])
def test_a_run_is_finite_and_resumes_with_the_same_bits(name: str, counted: str, tmp_path: Path) -> None:
    whole = config(name, counted)
    run = strop.train(whole, tmp_path / "whole")
    strop.train(replace(whole, steps=2, eval_every=0), tmp_path / "cut")  # its judgements leave no trace
    strop.train(whole, tmp_path / "cut", resume=True)
    states = [RunDirectory.open(tmp_path / folder).load("latest")[1] for folder in ("whole", "cut")]
    assert same(states[0]["policy"], states[1]["policy"])
    assert same(states[0]["algorithm"], states[1]["algorithm"])
    for metrics in run.metrics():
        assert all(math.isfinite(value) for value in metrics.values())
        assert metrics.get("policy/sampler_gap_max", 0.0) <= 1e-9
    policy = run.policy.critic if name == "ilql" else run.policy
    assert isinstance(policy, NGram)
    assert policy.num_ngrams > 20
    assert any(bool((one != 0.0).any()) for one in policy.parameters())
