"""A learner of values on a method that is written down here: weights, errors, copies and what is saved."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from exact.build import batch_of, episode, turn
from strop.functional.distributions import gather
from strop.learners.values import ValueBased, ValueConfig
from strop.optimizer import SGD
from strop.policies.table import Table
from strop.types import Batch, Heads, Last, Metrics, Unscored


def q(heads: Heads) -> dict[str, Tensor]:
    assert heads.q_NV is not None
    return {"q": gather(heads.q_NV, heads.tokens_N)}


class Rewards:
    """Two tables that learn the reward of every action; each has a copy."""

    def __init__(self) -> None:
        self.networks = (Table(3, capacity=8), Table(3, capacity=8))
        self.copies = tuple(network.twin() for network in self.networks)

    def opinions(self, batch: Batch) -> tuple[Tensor]:
        return (batch.rewards_BT,)

    def loss(self, micro: Batch, target_bt: Tensor) -> tuple[Tensor, Tensor, Metrics]:
        first_bt, second_bt = (network.heads(micro, q, frozenset({"q"}))["q"] for network in self.networks)
        loss_bt = (target_bt - first_bt).square() / 2 + (target_bt - 2 * second_bt).square() / 2
        return loss_bt, target_bt - first_bt, {"toy/step": Last(1.0)}


def learner(micro_tokens: int = 4096, **fields: Any) -> ValueBased:
    return ValueBased(ValueConfig(optimizer=SGD(lr=1.0), target_share=0.5), Rewards(), micro_tokens, **fields)


def two_and_a_lost_one() -> Batch:
    rewards = (4.0, -8.0, Unscored("lost"))
    return batch_of(*(episode(turn((i, 7), (1,)), reward=r, id=str(i)) for i, r in enumerate(rewards)))


@pytest.mark.parametrize("micro_tokens", [1, 4096])
def test_a_step_is_the_mean_over_scored_actions_and_its_errors_are_noted(micro_tokens: int) -> None:
    # two scored actions: each first number moves by error / 2, each second one by 2 * error / 2
    algorithm, batch = learner(micro_tokens, error="toy_error"), two_and_a_lost_one()
    update = algorithm.update(batch)
    first, second = algorithm.method.networks
    for i, reward in enumerate((4.0, -8.0, 0.0)):
        assert first.prefill([(i, 7)])[0][0].tolist() == [0, reward / 2, 0]
        assert second.prefill([(i, 7)])[0][0].tolist() == [0, reward, 0]
    assert update.per_token["toy_error"][batch.action_BT].tolist() == [4.0, -8.0, 0.0]
    assert update.per_token["toy_error"].shape == batch.tokens_BT.shape
    assert update.priority_K is not None
    assert update.priority_K.tolist() == [4.0, 8.0, 0.0]
    assert update.metrics["toy/step"].value == 1.0


def test_target_copies_move_every_target_every_updates() -> None:
    # the first number goes half the way to 4: 2, 3; the copy follows half the way after the second update
    algorithm = learner(target_every=2)
    for expected in (0.0, 1.5):
        algorithm.update(batch_of(episode(turn((0,), (1,)), reward=4.0), episode(turn((0,), (2,)))))
        assert algorithm.method.copies[0].prefill([(0,)])[0][0, 1].item() == expected


def test_the_state_holds_all_that_the_run_does_not_save() -> None:
    algorithm, resumed = learner(), learner()
    algorithm.update(two_and_a_lost_one())
    state = algorithm.state_dict()
    assert set(state) == {"optimizer", "network_1", "copy_0", "copy_1"}  # network 0 is the policy
    resumed.load_state_dict(state)
    for old, new in zip(algorithm.method.copies, resumed.method.copies, strict=True):
        assert torch.equal(old.parameters()[0], new.parameters()[0])
    assert torch.equal(algorithm.method.networks[1].parameters()[0], resumed.method.networks[1].parameters()[0])
