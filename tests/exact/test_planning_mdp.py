"""Planners on tables against optima that are known from elsewhere, and against slow independent references."""

from __future__ import annotations

import numpy as np
import pytest

from exact.worlds import LAKE_4, LAKE_8, cliff_walking, frozen_lake, taxi
from strop.planning.evaluation import policy_values
from strop.planning.mdp import FiniteMDP, action_values
from strop.planning.policy_iteration import iterate_policies
from strop.planning.value_iteration import backward_induction, iterate_values
from strop.verify.planning import random_mdp, two_contexts


@pytest.mark.parametrize("lead", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("discount", [0.9, 0.0])
def test_the_word_that_pays_more_is_chosen_for_every_kernel(lead: float, discount: float) -> None:
    for solution in (iterate_values(two_contexts(lead), discount), iterate_policies(two_contexts(lead), discount)):
        assert solution.action_S.tolist() == [1, 1]
    assert iterate_policies(two_contexts(lead), discount).rounds == 2  # one improvement, and the round that sees it


def test_frozen_lake_4_by_4() -> None:
    lake = frozen_lake(LAKE_4)
    assert backward_induction(lake, 100).value_HS[100, 0] == pytest.approx(0.744190, abs=5e-7)
    assert iterate_values(lake, 1.0, theta=1e-13).value_S[0] == pytest.approx(14 / 17, abs=1e-10)  # .823529
    assert iterate_values(lake, 0.99).value_S[0] == pytest.approx(0.542026, abs=5e-7)
    assert iterate_values(frozen_lake(LAKE_4, slippery=False), 0.99).value_S[0] == pytest.approx(0.99**5, abs=1e-12)


def test_frozen_lake_8_by_8() -> None:
    plan = backward_induction(frozen_lake(LAKE_8), 200)
    assert plan.value_HS[200, 0] == pytest.approx(0.913220, abs=5e-7)
    assert plan.value_HS[100, 0] == pytest.approx(0.640719, abs=5e-7)


def test_cliff_walking() -> None:
    cliff = cliff_walking()
    assert iterate_values(cliff, 1.0).value_S[36] == -13.0
    assert iterate_policies(cliff, 0.999).value_S[36] == pytest.approx(-sum(0.999**t for t in range(13)), abs=1e-9)


def test_taxi() -> None:
    world = taxi()
    value_S = iterate_values(world, 1.0).value_S
    starts = value_S[world.start > 0]
    assert len(starts) == 300
    assert (starts.min(), starts.max()) == (3.0, 15.0)
    assert starts.mean() == pytest.approx(7.93, abs=1e-12)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("discount", [0.5, 0.9, 0.99])
def test_value_and_policy_iteration_choose_alike(seed: int, discount: float) -> None:
    mdp = random_mdp(seed)
    by_values, by_policies = iterate_values(mdp, discount, theta=1e-10), iterate_policies(mdp, discount)
    assert by_values.action_S[:-1].tolist() == by_policies.action_S[:-1].tolist()
    assert by_policies.rounds < 20


@pytest.mark.parametrize("mdp", [cliff_walking(), frozen_lake(LAKE_4), frozen_lake(LAKE_4, slippery=False)])
def test_policy_iteration_needs_no_discount_where_an_end_can_be_reached(mdp: FiniteMDP) -> None:
    solution = iterate_policies(mdp, 1.0)  # action 0 alone never ends on any of these
    assert np.abs(solution.value_S - iterate_values(mdp, 1.0, theta=1e-13).value_S).max() < 1e-9


def test_policy_iteration_without_an_end_and_without_a_discount_is_refused() -> None:
    # 0 -> 1 and 0 -> 2; 1 stays where it is for ever, 2 is the end
    P = np.zeros((3, 2, 3))
    P[0, 0, 1] = P[0, 1, 2] = P[1, :, 1] = P[2, :, 2] = 1.0
    mdp = FiniteMDP(P, np.zeros((3, 2)), start=[1, 0, 0], terminal=[False, False, True])
    with pytest.raises(ValueError, match=r"state 1 has no finite value.*discount below 1"):
        iterate_policies(mdp, 1.0)
    assert iterate_policies(mdp, 0.5).value_S.tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("discount", [0.3, 0.9, 1.0])
def test_a_sweep_contracts_by_the_discount(discount: float) -> None:
    rng, mdp = np.random.default_rng(0), random_mdp(1)
    for _ in range(50):
        u_S, v_S = rng.normal(size=(2, 7))
        after = np.abs(action_values(mdp, u_S, discount).max(1) - action_values(mdp, v_S, discount).max(1)).max()
        assert after <= discount * np.abs(u_S - v_S).max() + 1e-15
    # and no faster: a constant is moved by exactly the discount, where nothing ends
    u_S = rng.normal(size=2)
    moved = action_values(two_contexts(), u_S + 1.0, discount) - action_values(two_contexts(), u_S, discount)
    assert np.abs(moved - discount).max() < 1e-15


@pytest.mark.parametrize("discount", [0.0, 0.7, 0.95, 1.0])
def test_evaluation_is_the_sum_over_all_futures(discount: float) -> None:
    mdp = random_mdp(2)
    policy_SA = np.random.default_rng(5).dirichlet(np.ones(3), size=7)
    values = policy_values(mdp, policy_SA, discount)
    # step by step: the distribution of the state after t steps, times its mean reward; the terminal state pays nothing
    probs_SS, expected_S = np.eye(7), np.zeros(7)
    for t in range(600):
        for s in range(6):
            mean = sum(policy_SA[s, a] * mdp.P[s, a, n] * mdp.R[s, a, n] for a in range(3) for n in range(7))
            expected_S += discount**t * probs_SS[:, s] * mean
        step_SS = np.array([sum(policy_SA[s, a] * mdp.P[s, a] for a in range(3)) for s in range(7)])
        step_SS[6] = 0.0
        probs_SS = probs_SS @ step_SS
    expected_S[6] = 0.0
    assert np.abs(values.value_S - expected_S).max() < 1e-12
    assert np.abs((policy_SA * values.q_SA).sum(1) - values.value_S).max() < 1e-12


def test_backward_induction_counts_the_steps_that_are_left() -> None:
    # wait for 1, or leave for 3: with one or two steps left leave at once, with more wait first
    mdp = FiniteMDP([[[1, 0], [0, 1]], [[0, 1], [0, 1]]], [[1.0, 3.0], [0.0, 0.0]], [1, 0], [False, True])
    plan = backward_induction(mdp, 4)
    assert plan.value_HS[:, 0].tolist() == [0.0, 3.0, 4.0, 5.0, 6.0]
    assert plan.action_HS[1:, 0].tolist() == [1, 0, 0, 0]


def test_terminal_rows_are_not_read() -> None:
    P = [[[0.0, 1.0], [0.5, 0.5]], [[0.7, 0.7], [0.0, 0.0]]]
    mdp = FiniteMDP(P, [[1.0, 0.0], [100.0, 100.0]], [1.0, 0.0], [False, True])
    for solution in (iterate_values(mdp, 0.9), iterate_policies(mdp, 0.9), policy_values(mdp, [[1, 0], [1, 0]], 0.9)):
        assert solution.value_S.tolist() == [1.0, 0.0]
        assert solution.q_SA[1].tolist() == [0.0, 0.0]


def test_nothing_is_read_behind_the_end() -> None:
    mdp = FiniteMDP([[[0.5, 0.5]], [[0.0, 1.0]]], [[1.0], [0.0]], [1.0, 0.0], [False, True])
    assert action_values(mdp, np.array([2.0, 1000.0]), 0.5).tolist() == [[1.0 + 0.5 * 0.5 * 2.0], [0.0]]


def test_policy_iteration_keeps_equal_actions_and_sees_small_gains() -> None:
    # actions 0 and 1 are equal and 2 pays a millionth more, or nothing more
    for extra, action, rounds in ((1e-6, 2, 2), (0.0, 0, 1)):
        mdp = FiniteMDP(np.full((2, 3, 2), 0.5), [[0.1, 0.1, 0.1 + extra]] * 2, [0.5, 0.5], [False, False])
        solution = iterate_policies(mdp, 0.9)
        assert solution.action_S.tolist() == [action, action]
        assert solution.rounds == rounds


def test_policy_iteration_has_a_last_round():
    with pytest.raises(ValueError, match="after 1 rounds"):
        iterate_policies(random_mdp(0), 0.9, max_rounds=1)
