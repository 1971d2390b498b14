"""Path consistency is 0 at its optimum (a row of `strop verify`), and is not where the rewards are others."""

from __future__ import annotations

import pytest

from strop.verify.soft_values import residual_at_optimum

pytestmark = pytest.mark.matrix


@pytest.mark.parametrize("discount", [1.0, 0.8])
@pytest.mark.parametrize("unified", [True, False])
@pytest.mark.parametrize("n_step", [1, 2, None])
def test_other_rewards_are_not_consistent(n_step: int | None, unified: bool, discount: float) -> None:
    assert residual_at_optimum(n_step, unified, discount, rewards=1.1) > 1e-2
