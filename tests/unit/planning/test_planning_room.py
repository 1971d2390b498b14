"""The room as a user meets it: names, records, and what is refused in which words."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch

import strop.planning
from strop import loader
from strop.planning.annealing import Edits, Geometric, acceptance, anneal
from strop.planning.beam import beam_search
from strop.planning.best_of_n import best_of_n_bound, best_of_n_distribution, sample_best
from strop.planning.boltzmann import frontier_point, regularised_optimum
from strop.planning.evaluation import policy_values
from strop.planning.mcts import Problem, TreeSearch
from strop.planning.mdp import FiniteMDP
from strop.planning.monte_carlo import control, epsilon_greedy, ordinary_importance, play
from strop.planning.policy_iteration import iterate_policies
from strop.planning.value_iteration import iterate_values
from strop.policies.table import Table
from strop.types import Sampling

GOOD: dict[str, Any] = {
    "P": [[[0.5, 0.5], [0.0, 1.0]], [[0.0, 1.0], [0.0, 1.0]]],
    "R": [[1.0, 0.0], [0.0, 0.0]],
    "start": [1.0, 0.0],
    "terminal": [False, True],
}
ROUND = FiniteMDP([[[1.0]]], [[1.0]], [1.0], [False])  # reward 1 for ever


def test_the_room_knows_its_public_names() -> None:
    assert strop.planning.FiniteMDP is FiniteMDP
    assert strop.planning.TreeSearch is TreeSearch
    with pytest.raises(AttributeError, match="did you mean iterate_values"):
        _ = strop.planning.iterate_value
    rooms = loader.modules("planning")
    names = Counter(name for module in rooms for name in (*module.classes, *module.functions))
    assert names.most_common(1)[0][1] == 1  # the loader finds a name in one file only
    assert not {module.name for module in rooms} & set(names)


def test_an_mdp_is_kept_as_read_only_float64() -> None:
    mdp = FiniteMDP(**GOOD)
    assert (mdp.num_states, mdp.num_actions) == (2, 2)
    assert {mdp.P.dtype, mdp.R.dtype, mdp.start.dtype} == {np.dtype("float64")}
    with pytest.raises(ValueError, match="read-only"):
        mdp.P[0, 0, 0] = 2.0


def test_an_mdp_does_not_share_what_it_was_made_from() -> None:
    table = np.array(GOOD["P"])
    mdp = FiniteMDP(**{**GOOD, "P": table})
    table[0, 0, 0] = 9.0
    assert mdp.P[0, 0, 0] == 0.5


def test_the_mean_reward_weighs_where_an_action_leads() -> None:
    mdp = FiniteMDP(**{**GOOD, "R": np.arange(8.0).reshape(2, 2, 2)})
    assert mdp.mean_reward_SA[0].tolist() == [0.5 * 0 + 0.5 * 1, 3.0]


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"P": [[0.5, 0.5]]}, r"P has shape \(1, 2\)"),
        ({"P": [[[0.5, 0.4], [0.0, 1.0]], GOOD["P"][1]]}, r"P\[0, 0\] sums to 0.9"),
        ({"P": [[[1.5, -0.5], [0.0, 1.0]], GOOD["P"][1]]}, r"P\[0, 0\] .*minimum -0.5"),
        ({"P": [[[float("nan"), 1.0], [0.0, 1.0]], GOOD["P"][1]]}, r"P\[0, 0\] sums to nan"),
        ({"R": [1.0, 2.0]}, r"R has shape \(2,\)"),
        ({"R": [[1.0, float("inf")], [0.0, 0.0]]}, "R holds NaN or infinity"),
        ({"start": [0.5, 0.4]}, "start sums to 0.9"),
        ({"start": [1.0]}, r"start has shape \(1,\)"),
        ({"terminal": [True]}, r"terminal has shape \(1,\)"),
    ],
)
def test_wrong_tables_are_refused(changed: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        FiniteMDP(**{**GOOD, **changed})


def test_what_has_no_value_is_refused() -> None:
    with pytest.raises(ValueError, match="still changes by 1 after 50 sweeps"):
        iterate_values(ROUND, 1.0, max_sweeps=50)
    with pytest.raises(ValueError, match="from state 0 it never reaches"):
        policy_values(ROUND, [[1.0]], 1.0)
    with pytest.raises(ValueError, match="state 0 has no finite value"):
        iterate_policies(ROUND, 1.0)
    assert policy_values(ROUND, [[1.0]], 0.5).value_S.tolist() == [2.0]


@pytest.mark.parametrize("discount", [-0.1, 1.1, float("nan")])
def test_a_discount_outside_0_to_1_is_refused(discount: float) -> None:
    rng = np.random.default_rng(0)
    for use in (
        lambda: iterate_values(ROUND, discount),
        lambda: iterate_policies(ROUND, discount),
        lambda: policy_values(ROUND, [[1.0]], discount),
        lambda: control(ROUND, discount, lambda n: 0.1, 1, 5, rng),
    ):
        with pytest.raises(ValueError, match="discount="):
            use()


def test_policies_that_are_no_distributions_are_refused() -> None:
    mdp, rng = FiniteMDP(**GOOD), np.random.default_rng(0)
    with pytest.raises(ValueError, match=r"the policy has shape \(1, 1\)"):
        policy_values(mdp, [[1.0]], 0.9)
    with pytest.raises(ValueError, match="the policy of state 0"):
        play(mdp, np.array([[0.5, 0.6], [1.0, 0.0]]), rng, 5)
    with pytest.raises(ValueError, match=r"epsilon=1.5"):
        epsilon_greedy(np.zeros((1, 2)), 1.5)
    with pytest.raises(ValueError, match="no path"):
        ordinary_importance([], np.ones((1, 1)), np.ones((1, 1)), 0.9)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"alphabet": ()}, "at least one token"),
        ({"alphabet": (1, 1)}, "each of them once"),
        ({"max_length": 2, "min_length": 3}, "max_length=2"),
        ({"insert": -1.0}, r"edits\.insert=-1"),
        ({"insert": 0.0}, "cannot be undone"),
        ({"insert": 0.0, "delete": 0.0, "substitute": 0.0}, "not all 0"),
    ],
)
def test_edits_that_make_no_chain_are_refused(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Edits(**{"alphabet": (1, 2), "max_length": 3, **fields})


def test_a_walk_starts_inside_its_space() -> None:
    edits, rng = Edits(alphabet=(1, 2), max_length=2), np.random.default_rng(0)
    for start in ((1, 1, 1), (3,)):
        with pytest.raises(ValueError, match="the edits know 0 to 2 tokens"):
            anneal(start, len, edits, Geometric(1.0), 5, rng)
    with pytest.raises(ValueError, match="temperature=0"):
        acceptance(1.0, 0.0, 0.0)


def test_acceptance_by_hand() -> None:
    assert acceptance(5.0, 0.0, 1.0) == 1.0
    assert acceptance(-1.0, 0.0, 0.5) == pytest.approx(np.exp(-2.0))
    assert acceptance(-1.0, 3.0, 0.5) == 1.0
    assert acceptance(0.0, -np.log(2.0), 0.5) == pytest.approx(0.5)
    assert acceptance(-1e9, 0.0, 1e-3) == 0.0  # and no overflow the other way
    assert acceptance(1e9, 0.0, 1e-3) == 1.0


def test_searches_refuse_what_they_cannot_do() -> None:
    policy, one = Table(2), torch.ones(1, dtype=torch.float64)
    with pytest.raises(ValueError, match="width=0"):
        beam_search(policy, (1,), Sampling(), frozenset(), 0)
    with pytest.raises(ValueError, match="length_power=-1"):
        beam_search(policy, (1,), Sampling(), frozenset(), 1, -1.0)
    for fields, words in (
        ({"num_simulations": 0}, "num_simulations=0"),
        ({"max_weight": 2.0}, r"max_weight=2.0"),
        ({"exploration": -1.0}, "exploration=-1"),
        ({"kl_weight": -1.0}, "kl_weight=-1"),
    ):
        with pytest.raises(ValueError, match=words):
            TreeSearch.Config(**fields)
    with pytest.raises(ValueError, match="n=0"):
        best_of_n_distribution(one, one, 0)
    with pytest.raises(ValueError, match="n=0"):
        best_of_n_bound(0)
    with pytest.raises(ValueError, match="n=0"):
        sample_best(object(), (), float, Sampling(), [])
    for beta in (0.0, -1.0, float("inf"), float("nan")):
        with pytest.raises(ValueError, match="beta="):
            regularised_optimum(one.log(), one, beta)
    with pytest.raises(ValueError, match="no reward"):
        frontier_point(torch.zeros(0), 1.0)


def test_where_a_completion_is_over() -> None:
    task = Problem((1, 0), Sampling(max_tokens=2), frozenset({0}), len)
    assert [task.is_over(tokens) for tokens in ((), (1,), (0,), (1, 1))] == [False, False, True, True]
