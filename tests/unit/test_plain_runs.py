"""A run of each family on the plain path, which accelerators take, says and learns what it does on the fast path."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import strop
import tiny_hf
from strop.compute.fast_runner import FastRunner
from strop.compute.plain_runner import PlainRunner
from strop.policies.scratch import Scratch
from strop.policies.steered import Steered
from strop.runs.progress import Progress
from strop.types import Episode, Task
from strop.verify.checks import Check, find, measure

WORDS = ("red", "blue", "green", "black")
SMALL = {"num_layers": 2, "width": 16, "num_heads": 2, "context": 16}
PAIRS = [{"prompt": a, "chosen": f"{a} {b}", "rejected": b} for a, b in zip(WORDS, WORDS[1:] + WORDS[:1], strict=True)]
SGD = strop.optimizer.SGD(lr=0.3)
"""Its steps are as close as the gradients; AdamW divides a gradient that is all rounding by its own size."""


def first_word(task: Task, episode: Episode) -> float:
    """1 if it is the one that was asked for."""
    return float(episode.text.split()[:1] == [task.answer])


def scratch(**more: Any) -> Scratch:
    return Scratch(words=WORDS, **SMALL, **more)


def lora(tmp_path: Path) -> Any:
    folder = tiny_hf.make(tmp_path / "tiny", template=False, words=WORDS)
    return strop.policies.Transformer.Config(model=str(folder), lora=strop.policies.LoRA(rank=2), value_head=True)


KL = strop.functional.KL(weight=0.1)
FAMILIES: dict[str, Callable[[Path], dict[str, Any]]] = {
    "policy gradient": lambda tmp: {
        "policy": scratch(),
        "algorithm": strop.algorithms.GRPO.Config(optimizer=SGD, kl=KL, epochs=2),
    },
    "policy gradient of an adapter": lambda tmp: {
        "policy": lora(tmp),
        "algorithm": strop.algorithms.GRPO.Config(optimizer=SGD, kl=KL),
    },
    "actor-critic": lambda tmp: {
        "policy": scratch(value_head=True),
        "algorithm": strop.algorithms.PPO.Config(optimizer=SGD, kl=KL, minibatches=2),
    },
    "preference": lambda tmp: {"policy": scratch(), "algorithm": strop.algorithms.DPO.Config(optimizer=SGD)},
    "supervised": lambda tmp: {"policy": scratch(), "algorithm": strop.algorithms.SFT.Config(optimizer=SGD)},
    "distillation": lambda tmp: {
        "policy": scratch(),
        "algorithm": strop.algorithms.Distillation.Config(optimizer=SGD, teacher=scratch(value_head=True)),
    },
    "values": lambda tmp: {
        "policy": scratch(),
        "algorithm": strop.algorithms.DQN.Config(optimizer=SGD),
        "memory": strop.memory.Replay.Config(capacity=50, size=8),
        "sampling": strop.Sampling(temperature=0.0, epsilon=0.3, max_tokens=3),
    },
    "values of data": lambda tmp: {
        "policy": Steered.Config(base=scratch(value_head=True)),
        "algorithm": strop.algorithms.ILQL.Config(optimizer=SGD, target_share=0.3),
        "memory": strop.memory.Replay.Config(capacity=50, size=8),
    },
}


def config(family: str, tmp_path: Path) -> strop.TrainConfig:
    """Three steps, each of eight completions or pairs."""
    usual: dict[str, Any] = {
        "tasks": [Task(id=word, prompt=word, answer=word) for word in WORDS],
        "held_out": [Task(id=f"{word}-judged", prompt=word, answer=word) for word in WORDS],
        "rewards": [first_word],
        "sampling": strop.Sampling(max_tokens=3),
        "group_size": 4,
        "prompts_per_step": 2,
        "steps": 3,
        "eval_every": 3,
        "threads": 1,
    }
    if family == "preference":
        file = tmp_path / "pairs.jsonl"
        file.write_text("\n".join(map(json.dumps, PAIRS)))
        del usual["tasks"], usual["rewards"]
        usual |= {"data": str(file), "memory": strop.memory.Dataset.Config(size=8)}
    if family in ("supervised", "distillation"):
        del usual["rewards"]
    return strop.TrainConfig(**(usual | FAMILIES[family](tmp_path)))


def rows(run: strop.Run) -> list[dict[str, float]]:
    """The metrics of every step, but for time, memory and the share of clipped tokens: a ratio at the edge of the clip
    rounds to either side."""
    left_out = ("time/", "memory/", "policy/clip_")
    return [{name: value for name, value in row.items() if not name.startswith(left_out)} for row in run.metrics()]


def never(*_: object) -> None:
    raise AssertionError("a model took the other path")


@pytest.mark.matrix
@pytest.mark.parametrize("family", FAMILIES)
def test_three_steps_are_the_same(
    family: str, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(PlainRunner, "__init__", never)
        runs = [strop.train(config(family, tmp_path), tmp_path / "fast", progress=Progress.silent())]
    request.getfixturevalue("plain")
    monkeypatch.setattr(FastRunner, "of", never)
    runs.append(strop.train(config(family, tmp_path), tmp_path / "plain", progress=Progress.silent()))
    fast, plain = map(rows, runs)
    assert len(fast) >= 4  # three steps and a judgement
    for ours, theirs in zip(fast, plain, strict=True):
        assert ours == pytest.approx(theirs, rel=1e-4, abs=1e-6)
    said = [[(one.text, one.reward) for one in run.episodes()] for run in runs]
    assert said[0] == said[1]


CHECKS = [one for one in find() if one.module == "strop.verify.invariances" or one.function == "check_sampler_gap"]


@pytest.mark.usefixtures("plain")
@pytest.mark.parametrize("check", CHECKS, ids=[one.function for one in CHECKS])
def test_strop_verify_finds_nothing(check: Check) -> None:
    assert len(CHECKS) > 10
    assert {result.verdict for result in measure(check)} == {"pass"}
