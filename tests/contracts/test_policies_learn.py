"""Every language-model policy under every family of algorithms through `strop.train`: two steps, and again in parts."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

import strop
from language_models import ALL, NEURAL, WORDS, config_of
from strop.algorithms import A2C, DPO, DQN, GRPO, ILQL, KTO, PPO, REINFORCE, RLOO, SFT, Distillation, RewardModel
from strop.optimizer import AdamW
from strop.runs.state import same
from strop.types import Episode, Task

TASKS = [Task(word, f"{word} {other}", answer=word) for word, other in pairwise(WORDS)]
PAIRS = [
    Task("a", "red", data={"chosen": "red", "rejected": "blue green"}),
    Task("b", "pink red", data={"chosen": "pink red", "rejected": "grey"}),
]
LABELLED = [
    Task("a", "red", data={"completion": "red", "label": True}),
    Task("b", "pink red", data={"completion": "grey blue red", "label": False}),
]
KINDS = [REINFORCE, RLOO, GRPO, PPO, A2C, DQN, ILQL, SFT, DPO, KTO, RewardModel, Distillation]
DATA = {DPO: PAIRS, RewardModel: PAIRS, KTO: LABELLED}
VALUED = (PPO, A2C, ILQL, RewardModel)
FAST = [("lstm", PPO), ("convolutional", RLOO), ("gru", SFT), ("gpt2", DQN)]
"""What the fast suite runs of the product. CI runs a third of the rest, in which each policy meets every third
algorithm, and each algorithm every third policy; `make test-slow` runs all of it."""


def product() -> Iterator[Any]:
    for i, kind in enumerate(KINDS):
        for j, name in enumerate(ALL):
            mark = pytest.mark.slow if (i + j) % 3 else pytest.mark.matrix
            yield pytest.param(name, kind, id=f"{name}-{kind.__name__}", marks=[] if (name, kind) in FAST else mark)


def copied(task: Task, episode: Episode) -> float:
    """The share of the answer's words."""
    return sum(word == task.answer for word in episode.text.split()) / 3 + 0.1


def config(name: str, kind: Any) -> strop.TrainConfig:
    # no end for a reward model: behind one an n-gram reads the same value after any text
    policy = config_of(name, value_head=kind in VALUED, has_end=kind is not RewardModel)
    given: dict[str, Any] = {"optimizer": AdamW(lr=0.01)}
    if kind is Distillation:
        given["teacher"] = config_of(name if name in NEURAL else "lstm")
    offline = kind in DATA or kind is SFT
    return strop.TrainConfig(
        policy=policy,
        tasks=DATA.get(kind, TASKS),
        rewards=() if offline else [copied],
        algorithm=kind.Config(**given),
        sampling=strop.Sampling(max_tokens=3),
        memory=strop.memory.Dataset.Config(size=2) if offline else None,
        group_size=3,
        prompts_per_step=2,
        steps=2,
        seed=1,
        checkpoint_every=1,
        threads=1,
    )


@pytest.mark.parametrize(("name", "kind"), [*product()])
def test_it_learns_and_a_resumed_run_ends_with_the_same_bits(name: str, kind: Any, tmp_path: Path) -> None:
    whole = config(name, kind)
    run = strop.train(whole, tmp_path / "whole")
    for row in run.metrics():
        assert all(map(math.isfinite, row.values()))
    assert all(row["optimizer/gradient_norm"] > 0 for row in run.metrics() if "optimizer/gradient_norm" in row)
    strop.train(replace(whole, steps=1), tmp_path / "cut")
    again = strop.train(whole, tmp_path / "cut", resume=True)
    assert same(run.directory.load("latest"), again.directory.load("latest"))
    assert run.episodes() == again.episodes()


@pytest.mark.parametrize("name", ["lstm", "convolutional"])
def test_dropout_goes_on_with_the_same_masks(name: str, tmp_path: Path) -> None:
    whole = replace(config(name, SFT), policy=config_of(name, dropout=0.3), steps=4, checkpoint_every=2)
    run = strop.train(whole, tmp_path / "whole")
    strop.train(replace(whole, steps=2), tmp_path / "cut")
    again = strop.train(whole, tmp_path / "cut", resume=True)
    assert same(run.directory.load("latest"), again.directory.load("latest"))
    plain = strop.train(replace(whole, policy=config_of(name)), tmp_path / "plain")
    assert plain.metrics()[-1]["policy/nll"] != run.metrics()[-1]["policy/nll"]
