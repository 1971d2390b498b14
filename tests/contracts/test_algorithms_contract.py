"""Every algorithm of the folder: its config, its update, and that it leaves the records alone."""

from __future__ import annotations

import copy
from dataclasses import fields, is_dataclass
from typing import Any

import pytest
import torch

from exact.build import batch_of, episode, flat, turn
from exact.learners import TRAINED, algorithms, as_baseline, learner
from strop.functional.corrections import Correction
from strop.policies.table import Table
from strop.types import Batch, End, Last, Max, Mean, Memory, Pick, Update


def batch() -> Batch:
    return batch_of(
        episode(turn((1,), (2, 3)), reward=1.0),
        as_baseline(episode(turn((1,), (0,)), turn((4,), (3,)), reward=0.0, end=End.TRUNCATED, final=(4, 3, 1))),
        layout="per_turn",
    )


def joined() -> Batch:
    """A value is read behind a cut answer, in its own row, where no action is."""
    cut = episode(turn((1,), (2, 3)), reward=1.0, end=End.TRUNCATED, final=(1, 2, 3, 4))
    return batch_of(cut, as_baseline(episode(turn((1,), (0,)), reward=0.0)))


def test_the_folder_has_the_first_algorithms() -> None:
    assert {"A2C", "PPO", "VTrace", "REINFORCE", "RLOO", "GRPO", "DrGRPO", "SFT", "QLearning"} <= {
        kind.__name__ for kind in algorithms()
    }


@pytest.mark.parametrize("kind", algorithms())
def test_its_config_is_small_frozen_and_names_what_it_reads(kind: Any) -> None:
    assert is_dataclass(kind.Config)
    assert kind.Config.__dataclass_params__.frozen
    # PPO's: two clips, a critic and its returns, a KL and its controller, a correction
    assert len(fields(kind.Config)) <= 12
    assert kind.Config.reads in ("tasks", "demonstrations", "preferences", "teacher")
    memory: Memory = kind.Config.memory().build()
    memory.add([episode(turn((1,), (2,)))])
    kind.Config()


@pytest.mark.parametrize("kind", TRAINED)
def test_its_update_moves_the_policy_and_not_the_batch(kind: Any) -> None:
    policy, data = Table(5, capacity=64, value_head=True), batch()
    kept = copy.deepcopy(data)
    update = learner(kind, policy).update(data)
    assert isinstance(update, Update)
    assert float(flat(policy.parameters()).abs().sum()) > 0.0
    assert not flat(policy.parameters()).isnan().any()
    for field in fields(data):
        assert torch.equal(getattr(data, field.name).nan_to_num(-9), getattr(kept, field.name).nan_to_num(-9))
    for name, metric in update.metrics.items():
        assert "/" in name
        assert isinstance(metric, Mean | Max | Last)


@pytest.mark.parametrize("kind", TRAINED)
def test_its_opinions_are_of_actions_and_0_elsewhere(kind: Any) -> None:
    algorithm = learner(kind, Table(5, capacity=64, value_head=True))
    for data in (batch(), batch(), joined()):  # a baseline that begins at 0 has moved away by the second one
        for opinion in algorithm.update(data).per_token.values():
            assert opinion.shape == data.tokens_BT.shape
            assert not opinion.requires_grad
            assert float(opinion[~data.action_BT].abs().sum()) == 0.0


@pytest.mark.parametrize("kind", TRAINED)
def test_the_same_update_twice_is_the_same_to_the_bit(kind: Any) -> None:
    results = []
    for _ in range(2):
        policy = Table(5, capacity=64, value_head=True)
        algorithm = learner(kind, policy)
        for _ in range(3):
            algorithm.update(batch())
        results.append(flat(policy.parameters()))
    assert torch.equal(*results)


def test_a_pick_is_a_record() -> None:
    with pytest.raises(AttributeError):
        Pick(episode(turn((1,), (2,)))).weight = 2.0  # type: ignore[misc]


@pytest.mark.parametrize("kind", [kind for kind in algorithms() if "correction" in kind.Config.__dataclass_fields__])
def test_a_correction_that_is_set_is_made(kind: Any) -> None:
    for correction in (None, Correction()):
        metrics = learner(kind, Table(5, capacity=64, value_head=True), correction=correction).update(batch()).metrics
        assert ("correction/weight" in metrics) == (correction is not None)
