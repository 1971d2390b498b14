"""A learner of tables on a target that is written down here: one table or two, and what is saved."""

from __future__ import annotations

import torch

from exact.build import batch_of, episode, turn
from strop.learners.tabular import ActionValues, Decision, Tabular, TabularConfig
from strop.policies.table import Table
from strop.types import Batch

seen: list[tuple[ActionValues, ActionValues]] = []


def the_reward(decision: Decision, own: ActionValues, other: ActionValues) -> float | None:
    """Leaves what pays nothing alone."""
    seen.append((own, other))
    return decision.reward or None


def paying(*rewards: float) -> Batch:
    return batch_of(*(episode(turn((1,), (0,)), reward=r, id=str(i)) for i, r in enumerate(rewards)))


def test_one_table_is_the_policys_own_and_both_arguments_of_the_target() -> None:
    seen.clear()
    policy = Table(3, capacity=4)
    update = Tabular("toy", TabularConfig(rate=0.5), policy, the_reward).update(paying(8.0, 0.0))
    assert all(own is other for own, other in seen)
    assert policy.weight[policy.row((1,)), 0].item() == 4.0
    assert update.metrics["q/error_mean"].count == 1  # no error of what was left alone


def test_of_two_tables_the_one_that_saw_the_pair_less_is_corrected_and_the_policy_holds_their_mean() -> None:
    seen.clear()
    policy = Table(3, capacity=4)
    algorithm = Tabular("toy", TabularConfig(rate=1.0), policy, the_reward, num_tables=2)
    algorithm.update(paying(8.0, 2.0, 6.0))
    first, second = algorithm.tables
    assert seen == [(first, second), (second, first), (first, second)]
    row = policy.row((1,))
    assert (first.q_RV[row, 0].item(), second.q_RV[row, 0].item()) == (6.0, 2.0)
    assert policy.weight[row, 0].item() == 4.0


def test_two_tables_are_saved_and_one_is_left_to_the_run() -> None:
    for num_tables, names in ((1, {"visits_0"}), (2, {"visits_0", "visits_1", "values_0", "values_1"})):
        made = [Tabular("toy", TabularConfig(), Table(3, capacity=4), the_reward, num_tables) for _ in range(2)]
        made[0].update(paying(8.0, 2.0))
        state = made[0].state_dict()
        assert set(state) == names
        made[1].load_state_dict(state)
        for old, new in zip(made[0].tables, made[1].tables, strict=True):
            assert torch.equal(old.visits_RV, new.visits_RV)
            assert num_tables == 1 or torch.equal(old.q_RV, new.q_RV)
