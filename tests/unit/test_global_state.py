"""Training restores the process-wide settings that it changes, whether it returns or raises."""

import random
import signal

import numpy as np
import pytest
import torch

import strop
from strop.runs.progress import Progress
from strop.types import Stopped, Task

SIGNALS = (signal.SIGINT, signal.SIGTERM)


def paid(task, episode):
    random.random(), np.random.random(), torch.rand(1)
    return 1.0


def config(**fields) -> strop.TrainConfig:
    usual = {
        "policy": strop.policies.Table.Config(words=["a", "b"]),
        "tasks": [Task("one", "a")],
        "held_out": [Task("two", "b")],
        "rewards": {"paid": paid},
        "algorithm": strop.algorithms.REINFORCE.Config(),
        "sampling": strop.Sampling(max_tokens=1),
        "steps": 2,
        "threads": 2,
    }
    return strop.TrainConfig(**{**usual, **fields})


def state() -> list[object]:
    return [
        torch.get_num_threads(),
        torch.get_deterministic_debug_mode(),
        torch.are_deterministic_algorithms_enabled(),
        torch.utils.deterministic.fill_uninitialized_memory,
        torch.get_rng_state().tolist(),
        random.getstate(),
        np.random.get_state()[1].tolist(),
        np.random.get_state()[2],
        [signal.getsignal(number) for number in SIGNALS],
    ]


@pytest.fixture(params=["default", "error"])
def before(request):
    torch.set_deterministic_debug_mode(request.param)
    torch.utils.deterministic.fill_uninitialized_memory = request.param != "default"
    yield state()
    torch.set_deterministic_debug_mode("default")
    torch.utils.deterministic.fill_uninitialized_memory = True


def test_a_training_that_returns(tmp_path, before):
    inside = []
    run = strop.train(config(), tmp_path / "run", progress=Progress.silent(), announce=lambda _: inside.append(state()))
    assert inside[0][:4] == [2, 1, True, False]
    assert state() == before
    run.evaluate()
    assert state() == before


def test_a_training_that_raises(tmp_path, before):
    def never(task, episode):
        raise KeyError(torch.rand(1))

    with pytest.raises(Stopped) as told:
        strop.train(config(rewards={"never": never}), tmp_path / "run", progress=Progress.silent())
    assert told.tb is not None  # while the error, and the suspended loop in it, still live
    assert state() == before


def test_a_config_that_is_refused(tmp_path, before):
    with pytest.raises(ValueError, match="threads=100000"):
        strop.train(config(threads=100_000), tmp_path / "run", progress=Progress.silent())
    assert state() == before


@pytest.mark.matrix
def test_two_trainings_in_one_second_have_two_folders(tmp_path, monkeypatch):
    monkeypatch.setattr("strop.home.default_directory", lambda: tmp_path / "runs" / "now")
    runs = [strop.train(config(seed=seed), progress=Progress.silent()) for seed in range(3)]
    assert [run.path.name for run in runs] == ["now", "now-2", "now-3"]
    assert [run.config.seed for run in runs] == [0, 1, 2]
