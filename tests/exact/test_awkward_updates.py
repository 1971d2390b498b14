"""Rows of `strop verify` that hold what no other quick test does: updates away from the fixed point, held-out means.

Each is a slow reference in plain loops; tests/unit/verify/test_planted.py shows that a planted bug turns it red.
"""

from __future__ import annotations

import pytest

from strop.verify.checks import Check, measure

ROWS = (
    "gradient_updates.check_gspo_updates",  # several rows an episode, several epochs
    "gradient_updates.check_dapo_updates",  # what has no loss leaves the denominator
    "critic_updates.check_vtrace_updates",  # unequal caps
    "preference_losses.check_kto",  # z0 above 0, and cut at 0
    "answer_updates.check_kto_updates",  # rows that start anew, prompts that repeat
    "table_updates.check_expected_sarsa_updates",  # the distribution of the version that acted
    "table_updates.check_double_q_updates",  # two tables
    "value_updates.check_ilql_updates",
    "judging.check_held_out",  # Unscored is no 0
    "baselines.check_remax_plays_greedily",
)


@pytest.mark.parametrize("row", ROWS)
def test_the_row_passes(row: str) -> None:
    family, function = row.split(".")
    for found in measure(Check(family, f"strop.verify.{family}", function, "m", "it")):
        assert found.verdict == "pass", f"{found.must_equal}: {found.gap} > {found.tolerance}\n{found.error}"
