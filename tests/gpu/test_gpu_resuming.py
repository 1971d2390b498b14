"""A resume on a device goes on within the tolerance; a change of device is a recorded fork and goes on as well."""

from __future__ import annotations

from pathlib import Path

import pytest

import strop
from gpu.accelerator import Accelerator
from gpu.families import config, learnt, train, train_there, weights
from gpu.tolerances import LOGPROB, SHARE, apart
from strop.runs.resuming import promise


def assert_same(run: strop.Run, expected: strop.Run) -> None:
    """Within the tolerance: what was played, measured and learnt."""
    assert [one.text for one in run.episodes()] == [one.text for one in expected.episodes()]
    assert learnt(run)[-2:] == [pytest.approx(one, rel=SHARE, abs=LOGPROB) for one in learnt(expected)[-2:]]
    assert apart(weights(run), weights(expected)) <= SHARE


def forks(run: strop.Run) -> list[str]:
    with run.directory.reader() as store:
        return [event.text for event in store.events() if event.level == "fork"]


@pytest.mark.parametrize("name", ["GRPO", "PPO", "DQN"])
def test_four_steps_are_two_and_two_more(accelerator: Accelerator, name: str, tmp_path: Path) -> None:
    whole = train_there(accelerator, name, tmp_path / "whole", steps=4)
    train_there(accelerator, name, tmp_path / "cut")
    resumed = train_there(accelerator, name, tmp_path / "cut", resume=True, steps=4)
    assert_same(resumed, whole)
    assert not any(text.startswith("device") for text in forks(resumed))
    assert resumed.directory.plan()["device"].endswith(promise(accelerator.name, "float32"))


@pytest.mark.parametrize("name", ["GRPO", "DQN"])
def test_a_change_of_device_is_a_recorded_fork(accelerator: Accelerator, name: str, tmp_path: Path) -> None:
    expected = train(config(name, steps=4), tmp_path / "here")
    train_there(accelerator, name, tmp_path / "moved")
    back = train(config(name, steps=4), tmp_path / "moved", resume=True)
    assert_same(back, expected)
    train(config(name), tmp_path / "lifted")
    there = train_there(accelerator, name, tmp_path / "lifted", resume=True, steps=4)
    assert_same(there, expected)
    is_elsewhere = accelerator.name != "cpu"
    for run, change in ((back, (accelerator.name, "cpu")), (there, ("cpu", accelerator.name))):
        assert ('device: "{}" -> "{}"'.format(*change) in forks(run)) == is_elsewhere
        assert run.directory.config()["device"] == change[1]
