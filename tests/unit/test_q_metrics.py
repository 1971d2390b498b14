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
from strop.types import Sampling, Unscored


def test_q_learning_reports_its_errors() -> None:
    # rate 1/2: errors 0.5 - 0, then -0.2 - 0 elsewhere
    policy = Table(3)
    algorithm = QLearning.Config(rate=0.5).build(policy, Sampling(), 4096)
    batch = batch_of(
        episode(turn((1,), (0,), reward=0.5), id="a"), episode(turn((2,), (0,), reward=-0.2), id="b"), layout="per_turn"
    )
    update = algorithm.update(batch)
    assert (update.metrics["q/error_mean"].total, update.metrics["q/error_mean"].count) == (pytest.approx(0.7), 2)
    assert update.metrics["q/error_max"].value == 0.5
    assert update.per_token["td_error"][batch.action_BT].tolist() == pytest.approx([0.5, -0.2])


TABULAR = (DoubleQ, ExpectedSARSA, QLearning, SARSA)


@pytest.mark.parametrize("kind", TABULAR, ids=lambda kind: kind.__name__)
def test_every_tabular_method_returns_signed_errors(kind: Any) -> None:
    # Q is 0: the first turn's error is its own pay, -1 (nothing follows that is worth anything); the last one's is .5
    algorithm = kind.Config(rate=0.5, discount=1.0).build(Table(3, capacity=8), Sampling(temperature=0.0), 4096)
    both = batch_of(episode(turn((1,), (0,), reward=-1.0), turn((2,), (1,), reward=0.5)), layout="per_turn")
    update = algorithm.update(both)
    assert update.per_token["td_error"][both.action_BT].tolist() == pytest.approx([-1.0, 0.5])
    assert update.metrics["q/error_mean"].value == pytest.approx(0.75)  # of sizes, as are the largest and the priority
    assert update.metrics["q/error_max"].value == 1.0
    assert update.priority_K is not None
    assert update.priority_K.tolist() == [1.0]


@pytest.mark.parametrize("kind", TABULAR, ids=lambda kind: kind.__name__)
def test_at_rate_and_decay_1_a_number_is_the_mean_of_its_targets(kind: Any) -> None:
    # 4, 1 and 1 have the means 4, 2.5 and 2; double Q deals them to two tables, (4, 1) and 1: half of 2.5 + 1
    policy = Table(3, capacity=8)
    algorithm = kind.Config(rate=1.0, rate_decay=1.0).build(policy, Sampling(temperature=0.0), 4096)
    batch = batch_of(*(episode(turn((1,), (0,)), reward=r, id=str(i)) for i, r in enumerate((4.0, 1.0, 1.0))))
    algorithm.update(batch)
    assert policy.weight[policy.row((1,)), 0].item() == pytest.approx(1.75 if kind is DoubleQ else 2.0)


@pytest.mark.parametrize("kind", TABULAR, ids=lambda kind: kind.__name__)
def test_an_episode_that_was_lost_is_no_visit(kind: Any) -> None:
    policy = Table(3, capacity=8)
    algorithm = kind.Config(rate=1.0).build(policy, Sampling(temperature=0.0), 4096)
    lost, paid = (episode(turn((1,), (0,)), reward=r, id=str(r)) for r in (Unscored("lost"), 4.0))
    metrics = algorithm.update(batch_of(lost, paid)).metrics
    assert sum(int(table.visits_RV.sum()) for table in algorithm.tables) == 1
    assert (metrics["q/error_mean"].total, metrics["q/error_mean"].count) == (4.0, 1)
