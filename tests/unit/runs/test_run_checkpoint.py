"""Checkpoints load exactly as saved, or raise an error that names the damage."""

import math
import random

import numpy as np
import pytest
import torch

from strop.runs import randomness
from strop.runs.checkpoint import Checkpoints, DamagedCheckpoint
from strop.runs.state import same


@pytest.fixture
def checkpoints(tmp_path):
    return Checkpoints(tmp_path / "checkpoints")


def rich_state():
    base = torch.arange(12, dtype=torch.float64).reshape(3, 4) / 7
    tied = torch.nn.Parameter(torch.randn(3, 2))
    return {
        "tensors": {
            **{str(dtype): torch.tensor([1, 0, 1]).to(dtype) for dtype in (torch.bool, torch.uint8, torch.int64)},
            **{str(dtype): torch.randn(5).to(dtype) for dtype in (torch.bfloat16, torch.float16, torch.float32)},
            "nan": torch.tensor([math.nan, math.inf, -0.0]),
            "scalar": torch.tensor(3.5, dtype=torch.float64),
            "empty": torch.empty(0, 3),
            "empty_too": torch.empty(0, 3),
        },
        "shared": {"whole": base, "row": base[1], "column": base[:, 2], "transposed": base.T},
        "tied": (tied, tied),
        "plain": {"third": 1 / 3, "tiny": 5e-324, "minus": -0.0, "huge": 2**200, "none": None, "yes": True, "写": "文"},
        "lists": [1, 2.0, (3, [None, "x"]), []],
        "integer_keys": {0: {"step": torch.tensor(1.0)}, 1: {}},
        "dollar": {"$tensor": "a text, no tensor"},
    }


def test_any_state_comes_back_exactly(checkpoints):
    state = rich_state()
    checkpoints.save(40, state)
    assert same(checkpoints.load(40), state)
    assert checkpoints.directory(40).name == "000040"
    assert checkpoints.newest_first() == [40]


def test_an_optimizer_continues_from_its_checkpoint_bit_for_bit(checkpoints):
    def make():
        weight = torch.nn.Parameter(torch.ones(3))
        return weight, torch.optim.AdamW([weight], lr=0.1)

    def step(weight, optimizer):
        optimizer.zero_grad()
        (weight**3).sum().backward()
        optimizer.step()

    weight, optimizer = make()
    step(weight, optimizer)
    checkpoints.save(1, {"weight": weight, "optimizer": optimizer.state_dict()})
    step(weight, optimizer)
    other, other_optimizer = make()
    state = checkpoints.load(1)
    other.data.copy_(state["weight"])
    other_optimizer.load_state_dict(state["optimizer"])
    step(other, other_optimizer)
    assert same(weight, other)
    assert same(optimizer.state_dict(), other_optimizer.state_dict())


@pytest.mark.parametrize("wrong", [{"a": np.zeros(2)}, {"a": {1.5: 2}}, {"a": object()}, {"a": np.float32(1)}])
def test_what_a_checkpoint_cannot_hold_is_named(checkpoints, wrong):
    with pytest.raises(ValueError, match="The state's a"):
        checkpoints.save(1, wrong)
    assert checkpoints.steps() == []


@pytest.mark.parametrize("name", ["tensors.safetensors", "state.json", "checksums.json"])
@pytest.mark.parametrize("damage", ["flip", "cut", "remove"])
def test_damage_is_named_with_the_checkpoints_that_can_be_used(checkpoints, name, damage):
    for step in (3, 6):
        checkpoints.save(step, {"weight": torch.ones(100)})
    file = checkpoints.directory(6) / name
    content = file.read_bytes()
    if damage == "flip":
        middle = len(content) // 2
        file.write_bytes(content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :])
    elif damage == "cut":
        file.write_bytes(content[:-1])
    else:
        file.unlink()
    with pytest.raises(DamagedCheckpoint, match=r"damaged.*RUN@3"):
        checkpoints.load(6)
    checkpoints.load(3)


def test_a_missing_checkpoint_names_those_that_are_there(checkpoints):
    checkpoints.save(3, {})
    with pytest.raises(ValueError, match=r"No checkpoint 4 .* there: 3"):
        checkpoints.load(4)


def test_checkpoints_newer_than_latest_are_ignored(checkpoints):
    for step in (1, 2, 3):
        checkpoints.save(step, {})
    checkpoints.mark_latest(2)
    assert checkpoints.newest_first() == [2, 1]
    (checkpoints.path / "LATEST").unlink()
    assert checkpoints.newest_first() == [3, 2, 1]


def test_saving_a_step_again_replaces_it(checkpoints):
    checkpoints.save(1, {"x": 1})
    checkpoints.save(1, {"x": 2})
    assert checkpoints.load(1) == {"x": 2}
    assert sorted(entry.name for entry in checkpoints.path.iterdir()) == ["000001", "LATEST"]


def test_prune_and_clean_keep_the_wanted_checkpoints(checkpoints):
    for step in (1, 2, 3):
        checkpoints.save(step, {})
    (checkpoints.path / ".writing-000004").mkdir()
    (checkpoints.path / ".writing-LATEST").write_text("")
    checkpoints.prune({1, 3})
    checkpoints.clean()
    assert sorted(entry.name for entry in checkpoints.path.iterdir()) == ["000001", "000003", "LATEST"]


def test_global_random_states_are_restored(checkpoints):
    def throw():
        return random.random(), np.random.standard_normal(), float(torch.rand(()))

    np.random.standard_normal()  # leaves a second normal in numpy's cache: part of the state
    checkpoints.save(1, {"random": randomness.capture()})
    first = throw()
    randomness.restore(checkpoints.load(1)["random"])
    with randomness.undisturbed():
        throw()
    assert throw() == first
