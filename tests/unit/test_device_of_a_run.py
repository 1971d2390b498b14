"""What a run records and promises of its device, and how it goes on without it; the device is pretended."""

import json
import os
from dataclasses import replace

import pytest
import torch

import strop
from machine import CARD, report, take_pretended
from strop.policies import MLP
from strop.run import Run
from strop.runs import randomness
from strop.runs.directory import RunDirectory
from strop.runs.global_state import CUBLAS, global_state_kept, set_up_torch
from strop.runs.progress import Progress
from strop.types import Task

pytest.importorskip("pretend_device", reason="this torch cannot pretend a device in Python", exc_type=ImportError)

from pretend_device import DEVICE, pretended

NETWORK = MLP.Config(actions=["a", "b"], size=2)


def first(task, episode):
    """1 for the first action."""
    return float(episode.text == "a")


def config(**fields) -> strop.TrainConfig:
    """A run of two steps over vectors."""
    usual = {
        "policy": NETWORK,
        "tasks": [Task("one", "[0.5, 1.0]")],
        "held_out": [Task("two", "[0.25, 1.0]")],
        "rewards": [first],
        "algorithm": strop.algorithms.REINFORCE.Config(),
        "sampling": strop.Sampling(max_tokens=1),
        "steps": 2,
        "threads": 1,
    }
    return strop.TrainConfig(**{**usual, **fields})


def forks(run: Run) -> list[str]:
    """The recorded changes of the config and of the machine."""
    with run.directory.reader() as store:
        return [event.text for event in store.events() if event.level == "fork"]


def learnt(run: Run) -> list[dict[str, float]]:
    """What the steps measured, but for time and memory."""
    return [{key: one[key] for key in one if not key.startswith(("time/", "memory/"))} for one in run.metrics()]


@pytest.fixture
def there(tmp_path, monkeypatch) -> Run:
    """A run that was trained on a device, whose machine is gone."""
    take_pretended(monkeypatch)
    with pretended():
        run = strop.train(config(device=str(DEVICE)), tmp_path / "run", progress=Progress.silent())
        assert all(parameter.device == DEVICE for parameter in run.policy.parameters())
    take_pretended(monkeypatch, is_there=False)
    return Run(run.path)


def test_a_run_on_a_device_records_it_and_learns_what_it_learns_on_the_cpu(there, tmp_path):
    here = strop.train(config(), tmp_path / "here", progress=Progress.silent())
    assert [RunDirectory(one.path).config()["device"] for one in (there, here)] == ["pretend:0", "cpu"]
    assert there.directory.provenance()["machine"]["accelerator"] == CARD
    assert "accelerator" not in here.directory.provenance()["machine"]
    assert there.directory.plan()["device"].startswith(f"pretend:0 ({CARD}); ")
    assert learnt(there) == learnt(here)


def test_a_run_whose_device_is_missing_is_read_elsewhere_and_goes_on_there_as_a_fork(there):
    assert there.evaluate()["held_out/reward"] in (0.0, 1.0)
    assert there.actor()[0].device == torch.device("cpu")
    with pytest.raises(ValueError, match=r"^device=pretend:0: .*or device=cpu; .* as a fork\.$"):
        strop.train(replace(there.config, steps=3), there.path, resume=True, progress=Progress.silent())
    assert forks(there) == []
    moved = strop.train(
        replace(there.config, steps=3, device="cpu"), there.path, resume=True, progress=Progress.silent()
    )
    assert forks(moved) == ["steps: 2 -> 3", 'device: "pretend:0" -> "cpu"', f"machine.accelerator: {CARD} -> None"]
    assert moved.directory.plan()["device"].startswith("cpu: torch finds no accelerator here")


def test_auto_in_a_recipe_that_goes_on_on_another_machine_is_a_fork(there):
    on = strop.train(config(device="auto", steps=3), there.path, resume=True, progress=Progress.silent())
    assert 'device: "pretend:0" -> "cpu"' in forks(on)


def test_cuda_adds_up_in_a_fixed_order(monkeypatch):
    monkeypatch.delenv(CUBLAS, raising=False)
    with global_state_kept():
        set_up_torch(1, "cpu")
        assert CUBLAS not in os.environ
        set_up_torch(1, "cuda:0")
        assert os.environ[CUBLAS] == ":4096:8"
    monkeypatch.delenv(CUBLAS)


def test_a_run_that_names_no_device_was_on_the_cpu_and_stays_there(tmp_path, monkeypatch):
    run = strop.train(config(), tmp_path / "run", progress=Progress.silent())
    file = tmp_path / "run/config.json"
    facts = {key: value for key, value in json.loads(file.read_text()).items() if key != "device"}
    file.write_text(json.dumps(facts | {"format": 1}))
    report(monkeypatch, num_cuda=1)
    assert Run(run.path).config.device == "cpu"
    on = strop.train(replace(Run(run.path).config, steps=3), run.path, resume=True, progress=Progress.silent())
    assert forks(on) == ["steps: 2 -> 3"]


def test_a_checkpoint_of_more_gpus_is_restored_on_fewer(monkeypatch):
    restored = []
    monkeypatch.setattr("torch.cuda.is_initialized", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    monkeypatch.setattr("torch.cuda.set_rng_state_all", restored.extend)
    monkeypatch.setattr("torch.cuda.get_rng_state_all", lambda: ["first", "second"])
    state = randomness.capture()
    randomness.restore(state)
    assert restored == ["first"]
