"""What the pole's recipe rests on, without the package: a run of a network over vectors, and its resume."""

import json
import math
from dataclasses import replace
from itertools import pairwise

import pytest
import torch

import strop
from strop.environments.gymnasium import from_gymnasium
from strop.reports.plan import make_plan
from strop.runs import spec
from strop.runs.progress import Progress
from strop.types import End, Task
from unit.environments.toy_gym import Hops

CONFIG = strop.TrainConfig(
    policy=strop.policies.MLP.Config(actions=("0", "1", "2"), size=2, hidden=(8,), value_head=True),
    tasks=[Task("hop", "")],
    held_out=[Task("judged", "")],
    environment=from_gymnasium(Hops),
    algorithm=strop.algorithms.REINFORCE.Config(optimizer=strop.optimizer.AdamW(lr=1e-2)),
    sampling=strop.Sampling(max_tokens=1),
    group_size=4,
    prompts_per_step=1,
    steps=4,
    checkpoint_every=2,
    threads=1,
)


def trained(path, config=CONFIG, resume=False):
    return strop.train(config, path, resume=resume, progress=Progress.silent())


def test_a_run_stopped_and_resumed_ends_with_the_same_bits(tmp_path):
    whole = trained(tmp_path / "whole")
    trained(tmp_path / "parts", replace(CONFIG, steps=2))
    parts = trained(tmp_path / "parts", resume=True)
    for name, tensor in whole.policy.state_dict().items():
        assert torch.equal(tensor, parts.policy.state_dict()[name])
    assert [one.turns for one in whole.episodes()] == [one.turns for one in parts.episodes()]


def test_its_episodes_are_kept_to_the_bit_and_sampler_and_trainer_agree(tmp_path):
    run = trained(tmp_path / "run")
    assert all(turn.text in ("0", "1", "2") for one in run.episodes() for turn in one.turns)
    assert {one.end for one in run.episodes()} == {End.TRUNCATED, End.TERMINATED}
    for one in run.episodes():
        numbers = [json.loads(run.parts.codec.decode(turn.prompt)) for turn in one.turns]
        assert all(
            after[0] - before[0] == int(turn.text)
            for turn, (before, after) in zip(one.turns, pairwise(numbers), strict=False)
        )
    assert max(one["policy/sampler_gap_max"] for one in run.metrics() if "policy/sampler_gap_max" in one) < 1e-6
    assert run.metrics()[0]["policy/entropy"] == pytest.approx(math.log(3), abs=0.01)


def test_the_config_comes_back_from_the_run(tmp_path):
    run = trained(tmp_path / "run")
    assert spec.from_files(run.path).environment == from_gymnasium(Hops)


def test_a_task_without_a_prompt_is_no_sample_of_the_plan():
    config = CONFIG.resolve()
    assert make_plan(config, config.build()).samples == ()


def test_the_recipe_differs_by_its_algorithm_alone():
    pytest.importorskip("gymnasium")
    from strop.recipes.cartpole import balance, push, recipe

    other = balance(strop.algorithms.RLOO.Config(), value_head=True)
    assert replace(other, algorithm=recipe().algorithm, policy=recipe().policy) == recipe()
    assert [push(text) for text in ("left", "right")] == [0, 1]
