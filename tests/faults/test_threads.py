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


@pytest.fixture
def torch_as_before():
    yield
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(False)


def trained(path) -> strop.Run:
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
    return strop.train(config, path, progress=Progress.silent())


def test_two_runs_on_two_threads_are_equal(tmp_path, torch_as_before):
    first = trained(tmp_path / "0")
    assert torch.get_num_threads() == THREADS
    for again in range(1, 6):
        other = trained(tmp_path / str(again))
        for step in (0, 4):
            assert same(first.directory.checkpoints.load(step), other.directory.checkpoints.load(step))
