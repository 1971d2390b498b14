"""What Q-learning says of a step: its temporal-difference errors, by hand."""

from __future__ import annotations

import pytest

from exact.build import batch_of, episode, turn
from strop.algorithms.q_learning import QLearning
from strop.policies.table import Table


def test_q_learning_reports_its_errors() -> None:
    # rate 1/2: errors 0.5 - 0, then -0.2 - 0 elsewhere
    policy = Table(3)
    algorithm = QLearning(QLearning.Config(rate=0.5), policy)
    batch = batch_of(
        episode(turn((1,), (0,), reward=0.5), id="a"), episode(turn((2,), (0,), reward=-0.2), id="b"), layout="per_turn"
    )
    update = algorithm.update(batch)
    assert (update.metrics["q/error_mean"].total, update.metrics["q/error_mean"].count) == (pytest.approx(0.7), 2)
    assert update.metrics["q/error_max"].value == 0.5
    assert update.per_token["td_error"][batch.action_BT].tolist() == pytest.approx([0.5, -0.2])
