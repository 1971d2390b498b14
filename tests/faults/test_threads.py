"""Two runs of one config are equal bit for bit on several threads too, where tensors are large enough to be split."""

import pytest
import torch

import strop
from strop.runs.progress import Progress
from strop.runs.state import same
from strop.types import Task

pytestmark = pytest.mark.crash

WORDS = tuple(f"w{i}" for i in range(40))
THREADS = 2


def trained(path, seen: list[int]) -> strop.Run:
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
        steps=4,
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
