"""What Q-learning says of a step: its temporal-difference errors, by hand."""

from __future__ import annotations

from typing import Any

import pytest

from exact.build import batch_of, episode, turn
from strop.algorithms.double_q import DoubleQ
from strop.algorithms.expected_sarsa import ExpectedSARSA
from strop.algorithms.q_learning import QLearning
from strop.algorithms.sarsa import SARSA
from strop.policies.table import Table
from strop.types import Sampling


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


TABULAR = (DoubleQ, ExpectedSARSA, QLearning, SARSA)


@pytest.mark.parametrize("kind", TABULAR, ids=lambda kind: kind.__name__)
def test_every_method_of_tables_reports_signed_errors(kind: Any) -> None:
    # Q is 0: the first turn's error is its own pay, -1 (nothing follows that is worth anything); the last one's is .5
    algorithm = kind.Config(rate=0.5, discount=1.0).build(Table(3, capacity=8), Sampling(temperature=0.0), 4096)
    both = batch_of(episode(turn((1,), (0,), reward=-1.0), turn((2,), (1,), reward=0.5)), layout="per_turn")
    assert algorithm.update(both).per_token["td_error"][both.action_BT].tolist() == pytest.approx([-1.0, 0.5])
