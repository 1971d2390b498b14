"""A run of a transformer on the pretended device: saved, resumed, moved to the CPU and exported."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import strop
import tiny_hf
from exact.coin import identical
from machine import take_pretended
from strop.policies import LoRA, Scratch, Transformer
from strop.reports.model_card import card_of
from strop.run import Run
from strop.runs.progress import Progress
from strop.types import Episode, Task

pytest.importorskip("pretend_device", reason="this torch cannot pretend a device in Python", exc_type=ImportError)

from pretend_device import DEVICE, pretended

WORDS = ("red", "blue", "green", "black")
POLICIES: dict[str, Callable[[Path], Any]] = {
    "scratch": lambda folder: Scratch(words=WORDS, width=16, num_heads=2, context=16),
    "adapter": lambda folder: Transformer.Config(model=str(tiny_hf.make(folder, width=16)), lora=LoRA(rank=2)),
}


@pytest.fixture(autouse=True)
def _there(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    take_pretended(monkeypatch)
    with pretended():
        yield


def varied(task: Task, episode: Episode) -> float:
    """A number that differs from text to text."""
    return sum(map(ord, episode.text)) % 7


def config(policy: Any, **changed: Any) -> strop.TrainConfig:
    usual = {
        "policy": policy,
        "tasks": [Task(word, word) for word in WORDS],
        "held_out": [Task("held out", "red blue")],
        "rewards": [varied],
        "algorithm": strop.algorithms.GRPO.Config(optimizer=strop.optimizer.AdamW(lr=0.02, eps=1e-2)),
        "sampling": strop.Sampling(max_tokens=4),
        "group_size": 2,
        "prompts_per_step": 2,
        "steps": 2,
        "checkpoint_every": 1,
        "dtype": "float32",
        "threads": 1,
    }
    return strop.TrainConfig(**(usual | changed))


def train(config: strop.TrainConfig, path: Path, resume: bool = False) -> Run:
    """In silence."""
    return strop.train(config, path, resume=resume, progress=Progress.silent())


def learnt(run: Run) -> list[dict[str, float]]:
    """What the steps measured, but for time and memory, and for the judgement at the end of each training."""
    other = ("time/", "memory/", "held_out/")
    return [{key: one[key] for key in one if not key.startswith(other)} for one in run.metrics()]


def forks(run: Run) -> list[str]:
    with run.directory.reader() as store:
        return [event.text for event in store.events() if event.level == "fork"]


def numbers(run: Run) -> list[torch.Tensor]:
    return [one.detach().cpu() for one in run.policy.parameters()]


@pytest.mark.parametrize("kind", [pytest.param("scratch"), pytest.param("adapter", marks=pytest.mark.matrix)])
def test_it_goes_on_as_it_was_and_as_a_fork_on_the_cpu(kind: str, tmp_path: Path) -> None:
    policy = POLICIES[kind](tmp_path / "tiny")
    whole = train(config(policy, steps=3), tmp_path / "whole")  # auto takes the device
    assert {one.device for one in whole.policy.parameters()} == {DEVICE}
    cut = train(config(policy), tmp_path / "cut")
    resumed = train(config(policy, steps=3), cut.path, resume=True)
    assert identical(numbers(resumed), numbers(whole))
    assert learnt(resumed) == learnt(whole)
    assert forks(resumed) == ["steps: 2 -> 3"]
    moved = train(replace(resumed.config, steps=4, device="cpu"), cut.path, resume=True)
    assert 'device: "pretend:0" -> "cpu"' in forks(moved)
    here = train(config(policy, steps=4, device="cpu"), tmp_path / "here")
    assert [one.text for one in moved.episodes()] == [one.text for one in here.episodes()]
    assert learnt(moved)[-1] == pytest.approx(learnt(here)[-1], rel=1e-3, abs=1e-5)
    torch.testing.assert_close(numbers(moved), numbers(here), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("kind", POLICIES)
def test_it_is_exported_from_the_device(kind: str, tmp_path: Path) -> None:
    run = train(config(POLICIES[kind](tmp_path / "tiny")), tmp_path / "run")
    policy, codec, sampling = Run(run.path).actor()
    assert policy.parameters()[0].device == DEVICE
    policy.export(codec, tmp_path / "model", card_of(run.directory, 2, codec, sampling, "model"))
    again, _ = Transformer.Config(model=str(tmp_path / "model"), lora=None).build(0, "float32")
    prompts = [codec.start("red")]
    torch.testing.assert_close(policy.prefill(prompts)[0].cpu(), again.prefill(prompts)[0], rtol=1e-4, atol=1e-4)
