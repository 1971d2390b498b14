"""Runs of value-based algorithms: a resume changes no bit, and what the config lets through."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import strop
from faults.kinds import config
from strop.policies.steered import Steered
from strop.recipes import two_words
from strop.runs import spec
from strop.runs.directory import RunDirectory
from strop.runs.state import same

pytestmark = pytest.mark.matrix


@pytest.mark.parametrize("kind", ["table/dqn", "table/ilql", "table/path_consistency", "table/double_q"])
def test_a_resumed_run_ends_with_the_same_bits(kind: str, tmp_path: Path) -> None:
    # table/dqn: prioritised replay with two draws a step, two-step targets, a copy every 7 updates, a fading epsilon
    whole = replace(config(kind, tmp_path), steps=7, held_out=(), checkpoint_every=4)
    strop.train(whole, tmp_path / "whole")
    strop.train(replace(whole, steps=4), tmp_path / "cut")
    strop.train(whole, tmp_path / "cut", resume=True)
    runs = [strop.Run(RunDirectory.open(tmp_path / name)) for name in ("whole", "cut")]
    assert same(*(run.directory.load("latest")[1] for run in runs))
    assert runs[0].episodes() == runs[1].episodes()
    num_held = {"table/double_q": 0, "table/path_consistency": 7 * 8}.get(kind, 50)  # the others hold 50 turns
    assert len(runs[0].directory.load("latest")[1]["held"]) == num_held


@pytest.mark.parametrize("name", ["QLearning", "DoubleQ", "DQN", "ILQL", "PathConsistency"])
def test_off_policy_algorithms_take_any_memory(name: str) -> None:
    algorithm = getattr(strop.algorithms, name).Config()
    for memory in (strop.memory.Fresh, strop.memory.Replay, strop.memory.Prioritised, strop.memory.Dataset):
        replace(two_words.recipe(), algorithm=algorithm, memory=memory.Config()).resolve()


def test_expected_sarsa_of_a_target_takes_any_memory() -> None:
    algorithm = strop.algorithms.ExpectedSARSA.Config(target=strop.Sampling(temperature=0.0))
    replace(two_words.recipe(), algorithm=algorithm, memory=strop.memory.Replay.Config()).resolve()


@pytest.mark.parametrize("name", ["SARSA", "ExpectedSARSA", "REINFORCE"])
def test_on_policy_algorithms_refuse_a_replay_in_words(name: str) -> None:
    algorithm: Any = getattr(strop.algorithms, name).Config()
    with pytest.raises(ValueError, match=f"{name} is on-policy"):
        replace(two_words.recipe(), algorithm=algorithm, memory=strop.memory.Prioritised.Config()).resolve()


def test_their_configs_come_back_from_json() -> None:
    base = strop.policies.Scratch(words=["a", "b"], value_head=True)
    for part in (
        strop.memory.Prioritised.Config(beta=0.5),
        strop.memory.Prioritised.Config(),
        strop.algorithms.DQN.Config(huber=None, dueling=True),
        strop.algorithms.PathConsistency.Config(n_step=3),
        Steered.Config(base=base, strength=2.0),
    ):
        again = spec.decode(spec.encode(part), Path())
        assert spec.encode(again) == spec.encode(part)
        assert type(again) is type(part)
