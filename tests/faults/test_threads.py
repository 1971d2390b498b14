"""Two runs of one config are equal bit for bit on several threads too, where tensors are large enough to be split."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

import strop
from strop.runs.progress import Progress
from strop.runs.state import same
from strop.types import Task

pytestmark = pytest.mark.crash

WORDS = tuple(f"w{i}" for i in range(40))
THREADS = 2


def trained(path, seen: list[int], steps: int = 4) -> strop.Run:
    """One prompt of 50 words shared by 8 answers: 8 * 4 heads * 50 * 32 numbers in each layer's keys, which is more
    than the 32,768 that torch gives to one thread."""
    config = strop.TrainConfig(
        policy=strop.policies.Scratch(words=WORDS, num_layers=2, width=128, num_heads=4, context=80),
        tasks=[Task(id="all", prompt=" ".join((*WORDS, *WORDS[:10])), answer="w0")],
        rewards=[lambda task, episode: float(episode.text.count("w1"))],
        algorithm=strop.algorithms.GRPO.Config(optimizer=strop.optimizer.AdamW(lr=1e-3)),
        sampling=strop.Sampling(max_tokens=12),
        group_size=8,
        prompts_per_step=1,
        steps=steps,
        threads=THREADS,
    )
    return strop.train(
        config, path, progress=Progress.silent(), announce=lambda _: seen.append(torch.get_num_threads())
    )


def test_two_runs_on_two_threads_are_equal(tmp_path):
    seen: list[int] = []
    first = trained(tmp_path / "0", seen)
    for again in range(1, 6):
        other = trained(tmp_path / str(again), seen)
        for step in (0, 4):
            assert same(first.directory.checkpoints.load(step), other.directory.checkpoints.load(step))
    assert seen == [THREADS] * 6
    assert torch.get_num_threads() == 1


def test_two_runs_at_once_are_equal_to_one_alone(tmp_path):
    """The shorter one ends first, and must not take the deterministic mode with it."""
    alone, mode = trained(tmp_path / "alone", []), torch.get_deterministic_debug_mode()
    for again in range(3):
        with ThreadPoolExecutor(2) as pool:
            short = pool.submit(trained, tmp_path / f"short-{again}", [], 1)
            long = trained(tmp_path / f"long-{again}", [])
            short.result(60)
        for part in ("policy", "algorithm"):
            one, other = (run.directory.checkpoints.load(4)[part] for run in (alone, long))
            assert same(one, other)
    assert torch.get_deterministic_debug_mode() == mode
