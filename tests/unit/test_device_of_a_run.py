"""What a run says, records and promises of its device, and how it goes on without it; the device is pretended."""

import json
import os
from dataclasses import replace
from functools import partial

import pytest
import torch

import strop
import table_run
from pretended import Elsewhere, pretended, report
from strop.policies import MLP, Scratch
from strop.reports.plan import make_plan
from strop.reports.settings import changed_settings
from strop.run import Run
from strop.runs import randomness
from strop.runs.directory import RunDirectory
from strop.runs.global_state import CUBLAS
from strop.runs.progress import Progress
from strop.types import Task

NETWORK, SMALL = MLP.Config(actions=["a", "b"], size=2), Scratch(words=["a"])


@pytest.fixture
def machine(monkeypatch):
    """Say what torch reports."""
    return partial(report, monkeypatch)


# ---------------------------------------------------------------- what is told


def plan_of(**fields):
    """The plan's line about the device, of a policy that is built on the CPU."""
    config = table_run.config(**fields).resolve()
    parts = table_run.config().resolve().build()
    return dict(make_plan(config, parts).lines())["device"]


def test_the_plan_says_the_device_and_why_and_what_a_resume_promises(machine):
    bits = "; a resume is equal bit for bit"
    machine()
    assert plan_of() == f"cpu: this policy (Table) computes nowhere else{bits}"
    assert plan_of(policy=SMALL) == f"cpu: torch finds no accelerator here{bits}"
    machine(num_cuda=1)
    assert plan_of(policy=NETWORK) == f"cpu: device=auto takes cuda:0 for transformers only{bits}"
    assert plan_of(policy=SMALL, device="cpu") == f"cpu, and not cuda:0{bits}"
    rounding = "a resume starts from the same bits and is equal within rounding, {} nats a token{}, since torch has no"
    assert plan_of(policy=SMALL).startswith(f"cuda:0 (NVIDIA H200, 139 GiB); {rounding.format('0.0001', '')}")
    half = plan_of(policy=SMALL, dtype="bfloat16")
    assert half.startswith(f"cuda:0 (NVIDIA H200, 139 GiB); {rounding.format('0.05', ' in the mean')}")
    machine(mps=True)
    assert plan_of(policy=SMALL).startswith("mps; a resume starts")


def test_the_device_is_a_field_like_another_and_no_change_of_its_own(machine):
    machine(num_cuda=1)
    config = table_run.config(policy=SMALL).resolve()
    assert config.device == "cuda:0"
    assert not [line for line in changed_settings(config) if line.startswith("device")]


# ---------------------------------------------------------------- a run


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
def there(tmp_path, machine, monkeypatch) -> Run:
    """A run that was trained on a pretended GPU, whose machine is gone."""
    monkeypatch.delenv(CUBLAS, raising=False)
    machine(num_cuda=1)
    with pretended("cuda:0"):
        run = strop.train(config(device="cuda"), tmp_path / "run", progress=Progress.silent())
        assert os.environ[CUBLAS] == ":4096:8"
        assert all(isinstance(parameter, Elsewhere) for parameter in run.policy.parameters())
    monkeypatch.delenv(CUBLAS)
    machine()
    return Run(run.path)


def test_a_run_on_a_device_records_it_and_learns_what_it_learns_on_the_cpu(there, tmp_path):
    here = strop.train(config(), tmp_path / "here", progress=Progress.silent())
    assert CUBLAS not in os.environ
    assert [RunDirectory(one.path).config()["device"] for one in (there, here)] == ["cuda:0", "cpu"]
    assert there.directory.provenance()["machine"]["accelerator"] == "NVIDIA H200, 139 GiB"
    assert "accelerator" not in here.directory.provenance()["machine"]
    assert there.directory.plan()["device"].startswith("cuda:0 (NVIDIA H200, 139 GiB); ")
    assert learnt(there) == learnt(here)


def test_a_run_whose_device_is_missing_is_read_elsewhere_and_goes_on_there_as_a_fork(there):
    assert there.evaluate()["held_out/reward"] in (0.0, 1.0)
    assert there.actor()[0].device == torch.device("cpu")
    with pytest.raises(ValueError, match=r"^device=cuda:0: torch finds cpu here\. .*or device=cpu; .* as a fork\.$"):
        strop.train(replace(there.config, steps=3), there.path, resume=True, progress=Progress.silent())
    assert forks(there) == []
    moved = strop.train(
        replace(there.config, steps=3, device="cpu"), there.path, resume=True, progress=Progress.silent()
    )
    assert forks(moved) == [
        "steps: 2 -> 3",
        'device: "cuda:0" -> "cpu"',
        "machine.accelerator: NVIDIA H200, 139 GiB -> None",
    ]
    assert moved.directory.plan()["device"].startswith("cpu: torch finds no accelerator here")


def test_auto_in_a_recipe_that_goes_on_on_another_machine_is_a_fork(there, machine):
    on = strop.train(config(device="auto", steps=3), there.path, resume=True, progress=Progress.silent())
    assert 'device: "cuda:0" -> "cpu"' in forks(on)


def test_a_run_that_names_no_device_was_on_the_cpu_and_stays_there(tmp_path, machine):
    run = strop.train(config(), tmp_path / "run", progress=Progress.silent())
    file = tmp_path / "run/config.json"
    facts = {key: value for key, value in json.loads(file.read_text()).items() if key != "device"}
    file.write_text(json.dumps(facts | {"format": 1}))
    machine(num_cuda=1)
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
