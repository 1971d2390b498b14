"""Monte Carlo estimates: by hand, and in exact expectation over every path of a small layered problem."""

from __future__ import annotations

import math

import numpy as np
import pytest

from strop.planning.evaluation import policy_values
from strop.planning.mdp import FiniteMDP
from strop.planning.monte_carlo import (
    Path,
    control,
    epsilon_greedy,
    every_visit_action_values,
    every_visit_values,
    first_visit_action_values,
    first_visit_values,
    ordinary_importance,
    path_ratio,
    play,
    weighted_importance,
)
from strop.planning.value_iteration import iterate_values
from strop.verify.planning import DISCOUNT, every_path, layered, policies, random_mdp, two_contexts

pytestmark = pytest.mark.matrix


def test_returns_by_hand() -> None:
    assert Path((0, 1, 0), (0, 0, 0), (1.0, 2.0, 4.0)).returns(0.5) == [3.0, 4.0, 4.0]


def test_first_and_every_visit_by_hand() -> None:
    # one state, reward 1 a step: paths of 1 and of 3 steps have the returns 1 and 3, 2, 1 (Sutton & Barto, ex. 5.5)
    paths = [Path((0,) * n, (0,) * n, (1.0,) * n) for n in (1, 3)]
    assert first_visit_values(paths, 2, 1.0)[0] == (1 + 3) / 2
    assert every_visit_values(paths, 2, 1.0)[0] == (1 + 3 + 2 + 1) / 4
    assert math.isnan(first_visit_values(paths, 2, 1.0)[1])


def test_action_values_of_a_path_that_returns_to_a_pair_by_hand() -> None:
    # (0, 1) at steps 0 and 2, (0, 0) at 1, (1, 0) at 3; discount .5, rewards 8, 4, 2, 1: returns 10.625, 5.25, 2.5, 1
    paths = [Path((0, 0, 0, 1), (1, 0, 1, 0), (8.0, 4.0, 2.0, 1.0)), Path((0,), (1,), (6.0,))]
    first_SA, every_SA = (values(paths, 2, 2, 0.5) for values in (first_visit_action_values, every_visit_action_values))
    assert first_SA[0].tolist() == [5.25, (10.625 + 6.0) / 2]
    assert every_SA[0].tolist() == [5.25, (10.625 + 2.5 + 6.0) / 3]
    for q_SA in (first_SA, every_SA):
        assert q_SA[1, 0] == 1.0
        assert math.isnan(q_SA[1, 1])


def test_control_counts_the_visits_that_it_is_asked_for() -> None:
    # one state, one action, reward 1 a step, cut after 3: returns 3, 2, 1
    loop = FiniteMDP([[[1.0]]], [[1.0]], [1.0], [False])
    for first_visit, value in ((True, 3.0), (False, 2.0)):
        found = control(loop, 1.0, lambda n: 0.0, 5, 3, np.random.default_rng(0), first_visit)
        assert found.q_SA[0, 0] == pytest.approx(value)


def test_every_visit_is_biased() -> None:
    # leave with probability 1/3 a step: V = 3. One path of n steps has the mean (n + 1) / 2, so (3 + 1) / 2
    every = 0.0
    for n in range(1, 200):
        path, chance = [Path((0,) * n, (0,) * n, (1.0,) * n)], (2 / 3) ** (n - 1) / 3
        every += chance * every_visit_values(path, 1, 1.0)[0]
    assert every == pytest.approx(2.0, abs=1e-12)


def test_weighted_importance_sampling_of_one_path_is_biased() -> None:
    mdp, (target_SA, behaviour_SA) = layered(), policies()
    of_target = policy_values(mdp, target_SA, DISCOUNT).value_S[0]
    of_behaviour = policy_values(mdp, behaviour_SA, DISCOUNT).value_S[0]
    weighted = 0.0
    for p, path in every_path(mdp, behaviour_SA):
        weighted += p * weighted_importance([path], target_SA, behaviour_SA, DISCOUNT)
    assert weighted == pytest.approx(of_behaviour, abs=1e-14)  # one path: rho cancels, and the bias is all there is
    assert abs(of_target - of_behaviour) > 0.05


def test_importance_ratios_by_hand() -> None:
    target_SA, behaviour_SA = np.array([[0.9, 0.1], [0.5, 0.5]]), np.array([[0.3, 0.7], [1.0, 0.0]])
    short, long = Path((0,), (0,), (2.0,)), Path((0, 1), (1, 0), (0.0, 4.0))
    rho_short, rho_long = 3.0, (0.1 / 0.7) * 0.5
    assert path_ratio(long, target_SA, behaviour_SA) == pytest.approx(rho_long, abs=1e-15)
    both = [short, long]
    total = rho_short * 2.0 + rho_long * 0.5 * 4.0
    assert ordinary_importance(both, target_SA, behaviour_SA, 0.5) == pytest.approx(total / 2, abs=1e-14)
    weighted = weighted_importance(both, target_SA, behaviour_SA, 0.5)
    assert weighted == pytest.approx(total / (rho_short + rho_long), abs=1e-14)
    with pytest.raises(ValueError, match="never takes"):
        path_ratio(Path((1,), (1,), (0.0,)), target_SA, behaviour_SA)


def test_a_path_stays_on_the_tables() -> None:
    mdp, (policy_SA, _) = layered(), policies()
    distribution = {path: p for p, path in every_path(mdp, policy_SA)}
    rng, counts = np.random.default_rng(2), dict.fromkeys(distribution, 0)
    for _ in range(3000):
        counts[play(mdp, policy_SA, rng, 10)] += 1  # a KeyError is a path that cannot happen
    z = [(counts[path] - 3000 * p) / math.sqrt(3000 * p * (1 - p)) for path, p in distribution.items() if 3000 * p > 5]
    assert max(map(abs, z)) < 4.0
    assert play(two_contexts(), np.full((2, 2), 0.5), rng, 7).rewards.__len__() == 7


def test_what_has_probability_0_is_never_drawn() -> None:
    class Lowest:
        def random(self) -> float:
            return 0.0

    certain = FiniteMDP([[[0.0, 1.0]], [[0.0, 1.0]]], [[1.0], [1.0]], [0.0, 1.0], [False, False])
    assert play(certain, np.ones((2, 1)), Lowest(), 3).states == (1, 1, 1)  # type: ignore[arg-type]


def test_epsilon_greedy_by_hand() -> None:
    q_SA = np.array([[1.0, 3.0, 2.0], [5.0, 5.0, 0.0]])
    expected = [[0.1, 0.8, 0.1], [0.8, 0.1, 0.1]]
    assert np.abs(epsilon_greedy(q_SA, 0.3) - expected).max() < 1e-15


def test_control_that_only_explores_evaluates_the_uniform_policy() -> None:
    mdp = layered()
    uniform = policy_values(mdp, np.full((5, 2), 0.5), DISCOUNT)
    found = control(mdp, DISCOUNT, lambda n: 1.0, 2000, 10, np.random.default_rng(3))
    assert np.abs(found.q_SA - uniform.q_SA)[:4].max() < 0.2  # about 350 returns of std 1 in the rarest pair


@pytest.mark.parametrize("first_visit", [True, False])
def test_control_finds_the_best_words(first_visit: bool) -> None:
    mdp = two_contexts()
    max_steps = 60 if first_visit else 300  # the last visits before the cut miss most of what would have followed
    found = control(mdp, 0.9, lambda n: 1 / (1 + 0.2 * n), 200, max_steps, np.random.default_rng(4), first_visit)
    assert found.action_S.tolist() == [1, 1]
    # the mean keeps the early, exploring paths: below the optimum, near it
    assert np.all(found.q_SA < iterate_values(mdp, 0.9).q_SA)
    assert np.abs(found.q_SA - (19.0, 20.0)).max() < 4.0


@pytest.mark.learning
@pytest.mark.parametrize("first_visit", [True, False])
@pytest.mark.parametrize("seed", range(5))
def test_control_reaches_the_optimum_of_a_problem_that_comes_back(seed: int, first_visit: bool) -> None:
    mdp = random_mdp(seed)
    found = control(mdp, DISCOUNT, lambda n: 1 / (1 + 0.01 * n), 3000, 40, np.random.default_rng(seed), first_visit)
    best = iterate_values(mdp, DISCOUNT)
    chosen = policy_values(mdp, epsilon_greedy(found.q_SA, 0.0), DISCOUNT)
    assert mdp.start @ (best.value_S - chosen.value_S) < 0.1  # the worst policy is 2 below the best


@pytest.mark.learning
@pytest.mark.parametrize("seed", range(5))
def test_control_reaches_the_optimum_of_the_layered_problem(seed: int) -> None:
    mdp = layered()
    found = control(mdp, DISCOUNT, lambda n: 1 / (1 + 0.02 * n), 3000, 10, np.random.default_rng(seed))
    best = iterate_values(mdp, DISCOUNT)
    chosen = policy_values(mdp, epsilon_greedy(found.q_SA, 0.0), DISCOUNT)
    assert chosen.value_S[0] > best.value_S[0] - 0.02
