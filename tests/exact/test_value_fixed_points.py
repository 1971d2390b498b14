"""DQN, ILQL and path consistency on every transition of a known problem end at its exact solution."""

from __future__ import annotations

import pytest

import strop.verify.soft_values as soft
import strop.verify.values as verified
from strop.verify.soft_values import LEARNT, learnt_from_anybody, residual_at_optimum
from strop.verify.tabular import guess_optimum

pytestmark = pytest.mark.matrix

ROWS = (
    verified.check_dqn_tabular,
    verified.check_dqn_double,
    verified.check_dqn_value_iteration,
    verified.check_ilql,
    soft.check_path_consistency,
)


@pytest.mark.parametrize("check", ROWS, ids=lambda check: check.__name__)
def test_rows_hold(check):
    for gap in check():
        assert gap.value <= gap.tolerance, gap.case


def test_dqn_reaches_backward_induction_over_the_histories_of_a_game() -> None:
    assert len(guess_optimum(["ant", "bee", "cat"], 2)) > 3
    gap = verified.check_dqn_backward_induction()
    assert gap.value <= gap.tolerance


def test_ilql_lowers_what_was_not_done() -> None:
    gap = verified.check_ilql_conservative()
    assert gap.value <= gap.tolerance


@pytest.mark.parametrize("discount", [1.0, 0.8])
@pytest.mark.parametrize("unified", [True, False])
@pytest.mark.parametrize("n_step", [1, 2, None])
def test_other_rewards_are_not_consistent(n_step: int | None, unified: bool, discount: float) -> None:
    assert residual_at_optimum(n_step, unified, discount, rewards=1.1) > 1e-2


@pytest.mark.parametrize(("unified", "n_step", "lr", "steps"), LEARNT)
def test_path_consistency_learns_the_boltzmann_policy_from_anybodys_data(
    unified: bool, n_step: int | None, lr: float, steps: int
) -> None:
    # uniform data over all sequences, far from pi: the minimum is pi* and V*, 0 residual
    assert learnt_from_anybody(unified, n_step, lr, steps) < 1.5e-2
