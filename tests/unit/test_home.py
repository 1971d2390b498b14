"""A run's folder belongs to the run that made it, and to no other."""

import pytest
import torch

import strop
from strop.runs.directory import RunDirectory
from strop.runs.failures import keep_failure
from strop.runs.files import Gone, WriteFailed
from strop.types import NonFinite, Task


def config(reward, words=("a", "b")) -> strop.TrainConfig:
    return strop.TrainConfig(
        policy=strop.policies.Table.Config(words=words),
        tasks=[Task("one", "a")],
        rewards=[reward],
        algorithm=strop.algorithms.REINFORCE.Config(),
        sampling=strop.Sampling(max_tokens=1),
        steps=2,
        threads=1,
    )


def test_a_run_that_replaced_another_is_not_deleted(tmp_path):
    def taken(task, episode):
        if not (tmp_path / "moved").exists():
            (tmp_path / "run").rename(tmp_path / "moved")
            RunDirectory.create(tmp_path / "run", {"whose": "another's"}, {})
        return 1.0

    with pytest.raises(Gone):
        strop.train(config(taken), tmp_path / "run", progress=False)
    assert RunDirectory.open(tmp_path / "run").config() == {"whose": "another's"}


def test_a_run_without_a_checkpoint_leaves_nothing(tmp_path):
    def never(task, episode):
        raise AssertionError("nothing is played")

    with pytest.raises(ValueError, match="not in the vocabulary"):
        strop.train(config(never, words=("b",)), tmp_path / "run", progress=False)
    assert not list(tmp_path.iterdir())


def test_no_failure_is_written_to_a_deleted_run(tmp_path):
    with pytest.raises(WriteFailed, match="No such file or directory"):
        keep_failure(tmp_path / "gone", 1, NonFinite("the loss", {"loss": torch.tensor([1.0])}))
    assert not list(tmp_path.iterdir())
