"""Threads that train, or sample from what another one trains, give the bits of doing so in turn."""

from __future__ import annotations

import copy
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import strop
import tiny_hf
from exact.build import batch_of, episode, flat, llama, turn
from exact.learners import learner
from strop.algorithms.grpo import GRPO
from strop.codec import VectorCodec
from strop.functional.divergences import KL
from strop.optimizer import AdamW
from strop.policies.adapters import LoRA
from strop.policies.mlp import MLP
from strop.policies.scratch import Scratch
from strop.policies.table import Table
from strop.policies.transformer import Transformer
from strop.runs.state import same
from strop.samplers.local import LocalSampler
from strop.types import Batch, Completion, Sampling, Task, Tokens

SECONDS = 60.0
"""Far longer than anything here takes."""


@pytest.fixture(autouse=True)
def _often_another_thread() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


# ---------------------------------------------------------------- two trainings

WORDS = ("red", "blue", "green", "black")
KINDS = ("table", "scratch", "lora")


def config(kind: str, folder: Path, reward: Callable[..., float] | None = None) -> strop.TrainConfig:
    """A run of four steps, and judged."""
    policies = strop.policies
    policy = {
        "table": lambda: policies.Table.Config(words=WORDS, has_end=True),
        "scratch": lambda: policies.Scratch(words=WORDS, num_layers=2, width=16, num_heads=2, context=16),
        "lora": lambda: policies.Transformer.Config(model=str(folder), lora=policies.LoRA(rank=2)),
    }[kind]()
    return strop.TrainConfig(
        policy=policy,
        tasks=[Task(word, word, word) for word in WORDS],
        held_out=[Task(f"{word} again", word, word) for word in WORDS],
        rewards={"first": reward or first_word},
        algorithm=GRPO.Config(optimizer=AdamW(lr=1e-2), kl=KL(weight=0.05)),
        sampling=strop.Sampling(max_tokens=3),
        group_size=4,
        prompts_per_step=2,
        steps=4,
        checkpoint_every=2,
        eval_every=2,
        seed=KINDS.index(kind),
        threads=1,
        dtype="float32",
    )


def first_word(task: Task, episode: strop.Episode) -> float:
    return float(episode.text.split()[:1] == [task.answer])


def told(run: strop.Run) -> list[Any]:
    """All of a run that does not depend on the time it took. The global generators belong to the process."""
    checkpoints = run.directory.checkpoints
    states = [checkpoints.load(step) for step in checkpoints.steps()]
    metrics = [{k: v for k, v in m.items() if not k.startswith(("time/", "memory/"))} for m in run.metrics()]
    return [[{k: v for k, v in state.items() if k != "random"} for state in states], metrics, run.episodes()]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tiny_hf.make(tmp_path_factory.mktemp("two") / "tiny", template=False, words=WORDS)


@pytest.fixture(scope="module")
def in_turn(folder, tmp_path_factory) -> dict[str, list[Any]]:
    """What each kind of training gives alone."""
    home = tmp_path_factory.mktemp("in_turn")
    return {kind: told(strop.train(config(kind, folder), home / kind, progress=False)) for kind in KINDS}


@pytest.mark.matrix
@pytest.mark.parametrize("again", [0, *(pytest.param(n, marks=pytest.mark.crash) for n in range(1, 10))])
def test_trainings_at_once_give_the_bits_of_trainings_in_turn(again: int, folder, in_turn, tmp_path) -> None:
    together = threading.Barrier(len(KINDS), timeout=SECONDS)

    def train(kind: str) -> strop.Run:
        together.wait()
        return strop.train(config(kind, folder), tmp_path / kind, progress=False)

    with ThreadPoolExecutor(len(KINDS)) as pool:
        runs = dict(zip(KINDS, pool.map(train, KINDS), strict=True))
    for kind in KINDS:
        assert same_as_told(told(runs[kind]), in_turn[kind])


def same_as_told(these: list[Any], those: list[Any]) -> bool:
    return same(these[:2], those[:2]) and bool(these[2] == those[2])


@pytest.mark.matrix
@pytest.mark.parametrize("kind", ["table", *(pytest.param(kind, marks=pytest.mark.crash) for kind in KINDS[1:])])
def test_a_training_does_not_wait_for_one_that_hangs(kind: str, folder, in_turn, tmp_path) -> None:
    """The first is stuck in its reward until the second has ended."""
    stuck, ended = threading.Event(), threading.Event()

    def slow(task: Task, episode: strop.Episode) -> float:
        stuck.set()
        assert ended.wait(SECONDS)
        return first_word(task, episode)

    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(strop.train, config(kind, folder, slow), tmp_path / "slow", progress=False)
        assert stuck.wait(SECONDS)
        quick = strop.train(config(kind, folder), tmp_path / "quick", progress=False)
        ended.set()
        patient = future.result(SECONDS)
    assert same_as_told(told(quick), in_turn[kind])
    assert same(told(patient)[0], in_turn[kind][0])


# ---------------------------------------------------------------- one trains, others sample

STEPS = 8
CODEC = VectorCodec(("left", "right"), 2)


def table() -> Table:
    """Each word decides on the next one, so that every step changes what any sample is drawn from."""
    return Table(5, order=1, capacity=8)


def mlp() -> MLP:
    return MLP.Config(actions=("left", "right"), size=2, hidden=(8, 8)).build(0)[0]


def scratch() -> Any:
    return Scratch(words=WORDS, has_end=True, width=16, num_heads=2).build(0, "float32")[0]


def wide(dtype: str, lora: LoRA | None, width: int = 512) -> Any:
    """Wide enough for packed products: 2**18 weights in layers that read the same input."""
    return Transformer.of(llama(5, width=width), lora, 0, dtype)


def observed(*numbers: float) -> Tokens:
    return CODEC.start(str(list(numbers)))


SENTENCES = batch_of(
    episode(turn((1,), (2, 3, 0, 4, 1)), reward=1.0),
    episode(turn((1,), (0, 2, 4, 3, 1)), reward=0.0),
    layout="per_turn",
)
VECTORS = batch_of(
    episode(turn(observed(0.5, -1.0), (0,)), reward=1.0),
    episode(turn(observed(0.5, -1.0), (1,)), reward=0.0),
    layout="per_turn",
)
POLICIES = [
    pytest.param(table, id="table"),
    pytest.param(mlp, id="mlp"),
    pytest.param(scratch, id="scratch"),
    pytest.param(partial(wide, "float32", LoRA(rank=2), 16), id="lora", marks=pytest.mark.crash),
    *(
        pytest.param(partial(wide, dtype, lora), id=f"{name}-{dtype}", marks=pytest.mark.crash)
        for dtype in ("float32", "bfloat16")
        for name, lora in (("wide-lora", LoRA(rank=2)), ("wide", None))
    ),
]


def batch_for(policy: Any) -> Batch:
    return VECTORS if isinstance(policy, MLP) else SENTENCES


def sampled(policy: Any, number: int) -> list[Completion]:
    """A call of several batches; its draws depend on its number alone."""
    is_vector = isinstance(policy, MLP)
    prompts = [observed(0.1 * i, 1.0) for i in range(24)] if is_vector else [(1,), (2,), (1,), (3,), (0, 4), (2,)]
    rngs = [np.random.default_rng((number, row)) for row in range(len(prompts))]
    sampling = Sampling(max_tokens=1 if is_vector else 8)
    return LocalSampler(policy, frozenset(), batch=4).sample(prompts, sampling, rngs)


def steps_of(policy: Any) -> Iterator[Any]:
    """Train, and give the state after every step."""
    algorithm = learner(GRPO, policy, optimizer=AdamW(lr=0.03), kl=KL(weight=0.05, placement="loss", estimator="k2"))
    for _ in range(STEPS):
        algorithm.update(batch_for(policy))
        yield copy.deepcopy(policy.state_dict())


def check(samples: list[tuple[int, list[Completion]]], judge: Any, versions: list[Any]) -> int:
    """Every sample is what one thread draws from one version, and no version is older than that of the sample before.

    Returns the last version."""
    version = 0
    judge.load_state_dict(versions[0])
    for number, sample in samples:
        while sampled(judge, number) != sample:
            version += 1
            assert version < len(versions), f"sample {number} is of no version, or of an older one than the one before"
            judge.load_state_dict(versions[version])
    return version


@pytest.mark.matrix
@pytest.mark.parametrize("num_samplers", [1, 2])
@pytest.mark.parametrize("make", POLICIES)
def test_samples_beside_a_training_are_each_of_one_version(make: Callable[[], Any], num_samplers: int) -> None:
    alone, policy = make(), make()
    versions = [copy.deepcopy(alone.state_dict()), *steps_of(alone)]
    begun, over = threading.Barrier(num_samplers + 1, timeout=SECONDS), threading.Event()

    def sample(first: int) -> list[tuple[int, list[Completion]]]:
        begun.wait()
        samples = []
        for number in range(first, sys.maxsize, num_samplers):
            is_last = over.is_set()
            samples.append((number, sampled(policy, number)))
            if is_last:
                return samples
        raise AssertionError

    with ThreadPoolExecutor(num_samplers) as pool:
        futures = [pool.submit(sample, first) for first in range(num_samplers)]
        try:
            begun.wait()
            for _ in steps_of(policy):
                pass
        finally:
            over.set()
        samples = [future.result(SECONDS) for future in futures]
    assert torch.equal(flat(policy.parameters()), flat(alone.parameters()))
    for some in samples:
        assert check(some, make(), versions) == STEPS
