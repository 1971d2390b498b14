"""What a run records and promises of its device, and how it goes on without it; the device is pretended."""

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import strop
import tiny_hf
from exact.coin import identical
from machine import CARD, report, take_pretended
from strop.policies import MLP, LoRA, Scratch, Transformer
from strop.reports.model_card import card_of
from strop.run import Run
from strop.runs import randomness
from strop.runs.directory import RunDirectory
from strop.runs.global_state import CUBLAS, global_state_kept, set_up_torch
from strop.runs.progress import Progress
from strop.types import Episode, Task

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


def train(config: strop.TrainConfig, path: Path, resume: bool = False) -> Run:
    """In silence."""
    return strop.train(config, path, resume=resume, progress=Progress.silent())


def forks(run: Run) -> list[str]:
    """The recorded changes of the config and of the machine."""
    with run.directory.reader() as store:
        return [event.text for event in store.events() if event.level == "fork"]


def learnt(run: Run) -> list[dict[str, float]]:
    """What the updates measured, but for time and memory, and for the judgement at the end of each training."""
    other, steps = ("time/", "memory/", "held_out/"), [one for one in run.metrics() if "optimizer/loss" in one]
    return [{key: one[key] for key in one if not key.startswith(other)} for one in steps]


@pytest.fixture
def there(tmp_path, monkeypatch) -> Run:
    """A run that was trained on a device, whose machine is gone."""
    take_pretended(monkeypatch)
    with pretended():
        run = train(config(device=str(DEVICE)), tmp_path / "run")
        assert all(parameter.device == DEVICE for parameter in run.policy.parameters())
    take_pretended(monkeypatch, is_there=False)
    return Run(run.path)


def test_a_run_on_a_device_records_it_and_learns_what_it_learns_on_the_cpu(there, tmp_path):
    here = train(config(), tmp_path / "here")
    assert [RunDirectory(one.path).config()["device"] for one in (there, here)] == ["pretend:0", "cpu"]
    assert there.directory.provenance()["machine"]["accelerator"] == CARD
    assert "accelerator" not in here.directory.provenance()["machine"]
    assert there.directory.plan()["device"].startswith(f"pretend:0 ({CARD}); ")
    assert learnt(there) == learnt(here)
    assert there.metrics()[-1]["held_out/reward"] == here.metrics()[-1]["held_out/reward"]


def test_a_run_whose_device_is_missing_is_read_elsewhere_and_goes_on_there_as_a_fork(there):
    assert there.evaluate()["held_out/reward"] in (0.0, 1.0)
    assert there.actor()[0].device == torch.device("cpu")
    with pytest.raises(ValueError, match=r"^device=pretend:0: .*or device=cpu; .* as a fork\.$"):
        train(replace(there.config, steps=3), there.path, resume=True)
    assert forks(there) == []
    moved = train(replace(there.config, steps=3, device="cpu"), there.path, resume=True)
    assert forks(moved) == ["steps: 2 -> 3", 'device: "pretend:0" -> "cpu"', f"machine.accelerator: {CARD} -> None"]
    assert moved.directory.plan()["device"].startswith("cpu: torch finds no accelerator here")


def test_auto_in_a_recipe_that_goes_on_on_another_machine_is_a_fork(there):
    on = train(config(device="auto", steps=3), there.path, resume=True)
    assert 'device: "pretend:0" -> "cpu"' in forks(on)


def test_cuda_adds_up_in_a_fixed_order(monkeypatch):
    monkeypatch.setenv(CUBLAS, "restored after the test")
    monkeypatch.delenv(CUBLAS)
    with global_state_kept():
        set_up_torch(1, "cpu")
        assert CUBLAS not in os.environ
        set_up_torch(1, "cuda:0")
        assert os.environ[CUBLAS] == ":4096:8"


def test_a_run_that_names_no_device_was_on_the_cpu_and_stays_there(tmp_path, monkeypatch):
    run = train(config(), tmp_path / "run")
    file = tmp_path / "run/config.json"
    facts = {key: value for key, value in json.loads(file.read_text()).items() if key != "device"}
    file.write_text(json.dumps(facts | {"format": 1}))
    report(monkeypatch, num_cuda=1)
    assert Run(run.path).config.device == "cpu"
    on = train(replace(Run(run.path).config, steps=3), run.path, resume=True)
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


# ---------------------------------------------------------------- a transformer's run

WORDS = ("red", "blue", "green", "black")
POLICIES: dict[str, Callable[[Path], Any]] = {
    "scratch": lambda folder: Scratch(words=WORDS, width=16, num_heads=2, context=16),
    "adapter": lambda folder: Transformer.Config(model=str(tiny_hf.make(folder, width=16)), lora=LoRA(rank=2)),
}


EACH = pytest.mark.parametrize("kind", ["scratch", pytest.param("adapter", marks=pytest.mark.matrix)])


@pytest.fixture
def on_device(monkeypatch):
    """The machine has the device, and auto takes it."""
    take_pretended(monkeypatch)
    with pretended():
        yield


def varied(task: Task, episode: Episode) -> float:
    """A number that differs from text to text."""
    return sum(map(ord, episode.text)) % 7


def writing(policy: Any, **changed: Any) -> strop.TrainConfig:
    usual = {
        "policy": policy,
        "tasks": [Task(word, word) for word in WORDS],
        "rewards": [varied],
        "algorithm": strop.algorithms.GRPO.Config(optimizer=strop.optimizer.AdamW(lr=0.02, eps=1e-2)),
        "sampling": strop.Sampling(max_tokens=4),
        "group_size": 2,
        "prompts_per_step": 2,
        "steps": 1,
        "checkpoint_every": 1,
        "dtype": "float32",
        "threads": 1,
    }
    return strop.TrainConfig(**(usual | changed))


def numbers(run: Run) -> list[torch.Tensor]:
    return [one.detach().cpu() for one in run.policy.parameters()]


@pytest.mark.matrix
@EACH
def test_it_goes_on_as_it_was_and_as_a_fork_on_the_cpu(kind: str, tmp_path: Path, on_device: None) -> None:
    policy = POLICIES[kind](tmp_path / "tiny")
    whole = train(writing(policy, steps=2), tmp_path / "whole")  # auto takes the device
    assert {one.device for one in whole.policy.parameters()} == {DEVICE}
    cut = train(writing(policy), tmp_path / "cut")
    resumed = train(writing(policy, steps=2), cut.path, resume=True)
    assert identical(numbers(resumed), numbers(whole))
    assert learnt(resumed) == learnt(whole)
    assert learnt(resumed)[-1]["optimizer/gradient_norm"] > 0
    assert forks(resumed) == ["steps: 1 -> 2"]
    moved = train(replace(resumed.config, steps=3, device="cpu"), cut.path, resume=True)
    assert 'device: "pretend:0" -> "cpu"' in forks(moved)
    here = train(writing(policy, steps=3, device="cpu"), tmp_path / "here")
    assert [one.text for one in moved.episodes()] == [one.text for one in here.episodes()]
    assert learnt(moved) == [pytest.approx(one, rel=1e-3, abs=1e-5) for one in learnt(here)]
    torch.testing.assert_close(numbers(moved), numbers(here), rtol=1e-3, atol=1e-4)


@EACH
def test_it_is_exported_from_the_device(kind: str, tmp_path: Path, on_device: None) -> None:
    run = train(writing(POLICIES[kind](tmp_path / "tiny")), tmp_path / "run")
    policy, codec, sampling = Run(run.path).actor()
    assert policy.parameters()[0].device == DEVICE
    policy.export(codec, tmp_path / "model", card_of(run.directory, 1, codec, sampling, "model"))
    again, _ = Transformer.Config(model=str(tmp_path / "model"), lora=None).build(0, "float32")
    prompts = [codec.start("red")]
    torch.testing.assert_close(policy.prefill(prompts)[0].cpu(), again.prefill(prompts)[0], rtol=1e-4, atol=1e-4)
