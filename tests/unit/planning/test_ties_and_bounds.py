"""What planners do with equals, with what lies exactly on a limit, and with a thing that comes twice in one path."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from strop.planning.annealing import Edits, Move, anneal
from strop.planning.beam import beam_search
from strop.planning.best_of_n import best_of_n_distribution, sample_best
from strop.planning.boltzmann import regularised_optimum
from strop.planning.enumeration import enumerate_sequences, mean_values, optimal_values, text_mdp
from strop.planning.evaluation import policy_values
from strop.planning.mcts import Node, Problem, TreeSearch
from strop.planning.mdp import FiniteMDP
from strop.planning.monte_carlo import Path, _draw, control, first_visit_action_values, ordinary_importance
from strop.planning.planner import Planner, value_round
from strop.planning.policy_iteration import iterate_policies
from strop.planning.value_iteration import backward_induction, iterate_values
from strop.policies.table import Table
from strop.samplers.local import LocalSampler
from strop.types import Sampling, Tokens

PROMPT = (1,)


def uniform(vocabulary: int = 3) -> Table:
    """Every token is equally likely everywhere."""
    return Table(vocabulary, capacity=32)


# ------------------------------------------------------------ enumeration


def test_as_many_completions_as_the_limit_are_allowed() -> None:
    # three tokens, 0 ends, at most three: 1 + 2 + 4 * 3 = 15
    sampling, stop = Sampling(max_tokens=3), frozenset({0})
    assert len(enumerate_sequences(uniform(), PROMPT, sampling, stop, limit=15).sequences) == 15
    with pytest.raises(ValueError, match="limit=14"):
        enumerate_sequences(uniform(), PROMPT, sampling, stop, limit=14)


class Counted(Table):
    """Counts how many levels of a tree are read."""

    levels = 0

    def decode(self, state: Any, tokens_B: torch.Tensor) -> tuple[torch.Tensor, Any]:
        self.levels += 1
        return super().decode(state, tokens_B)


def test_too_many_completions_are_refused_before_they_are_read() -> None:
    policy = Counted(3, capacity=32)
    with pytest.raises(ValueError, match="more than limit=5"):  # after a token 1 + 2, after two 3 + 4
        enumerate_sequences(policy, PROMPT, Sampling(max_tokens=9), frozenset({0}), limit=5)
    assert policy.levels == 1


def test_a_token_that_cannot_be_written_is_worth_nothing() -> None:
    greedy = enumerate_sequences(uniform(), PROMPT, Sampling(max_tokens=2, temperature=0.0), frozenset())
    for values in (optimal_values(greedy, len), mean_values(greedy, len)):
        assert values.q[()].tolist() == [2.0, -math.inf, -math.inf]
        assert values.value[()] == 2.0


# ------------------------------------------------------------ the last round that is allowed


def corridor(length: int) -> FiniteMDP:
    """States in a row: action 1 walks on, action 0 stays; only the last step pays, and a sweep carries it one back."""
    P, R = np.zeros((length + 1, 2, length + 1)), np.zeros((length + 1, 2))
    for s in range(length):
        P[s, 0, s] = P[s, 1, s + 1] = 1.0
    P[length, :, length] = 1.0
    R[length - 1, 1] = 1.0
    return FiniteMDP(P, R, np.eye(length + 1)[0], np.arange(length + 1) == length)


def test_as_many_sweeps_and_rounds_as_were_allowed_are_made() -> None:
    for solve, limit in ((iterate_values, "max_sweeps"), (iterate_policies, "max_rounds")):
        needed = solve(corridor(4), 0.5).rounds
        assert needed == 5  # four states learn of the reward one after the other, and then nothing changes
        assert solve(corridor(4), 0.5, **{limit: needed}).rounds == needed
        with pytest.raises(ValueError, match=f"after {needed - 1}"):
            solve(corridor(4), 0.5, **{limit: needed - 1})


def test_a_sweep_that_changes_by_the_threshold_is_not_the_last() -> None:
    # at discount 1/2, theta = 1 asks for a change below 1: the first sweep changes by just that
    assert iterate_values(corridor(1), 0.5, theta=1.0).rounds == 2
    assert iterate_values(corridor(1), 0.5, theta=1.5).rounds == 1


@pytest.mark.parametrize(("rewards", "expected"), [
    ([1e6, 1e6 + 1e-8], 0),  # 1e-14 of the values: rounding
    ([1e6, 1e6 + 1e-8, 0.0], 0),
    ([0.0, 1.5e-12], 1),  # more than 1e-12 of 1
    ([0.0, 0.5e-12], 0),
])  # fmt: skip
def test_policy_iteration_measures_a_gain_by_the_largest_value(rewards: list[float], expected: int) -> None:
    end = [[[0.0, 1.0]] * len(rewards)] * 2
    mdp = FiniteMDP(end, [rewards, [0.0] * len(rewards)], [1.0, 0.0], [False, True])
    assert iterate_policies(mdp, 0.5).action_S[0] == expected


def test_without_a_discount_every_state_has_to_reach_the_end() -> None:
    # state 0 ends, state 1 stays for ever
    mdp = FiniteMDP(
        [[[0, 0, 1.0]], [[0, 1.0, 0]], [[0, 0, 1.0]]], [[1.0], [0.0], [0.0]], [1, 0, 0], [False, False, True]
    )
    with pytest.raises(ValueError, match="from state 1 it never reaches"):
        policy_values(mdp, [[1.0]] * 3, 1.0)


# ------------------------------------------------------------ distributions


def test_the_kl_of_an_optimum_leaves_out_what_cannot_be_written() -> None:
    logprobs_Y = torch.tensor([math.log(0.5), math.log(0.5), -math.inf], dtype=torch.float64)
    found = regularised_optimum(logprobs_Y, torch.tensor([math.log(3), 0.0, 50.0], dtype=torch.float64), beta=1.0)
    assert found.logprobs_Y.exp().tolist() == pytest.approx([0.75, 0.25, 0.0])
    assert found.kl == pytest.approx(0.75 * math.log(1.5) + 0.25 * math.log(0.5))


def test_best_of_n_knows_levels_that_nobody_reaches() -> None:
    probs_Y = torch.tensor([0.0, 0.5, 0.5], dtype=torch.float64)
    assert best_of_n_distribution(probs_Y, torch.tensor([-1.0, 0.0, 1.0]), 2).tolist() == [0.0, 0.25, 0.75]


def test_a_draw_is_scaled_by_the_total_of_its_distribution() -> None:
    rng = np.random.default_rng(0)
    drawn = [_draw(np.array([0.25, 0.25]), rng) for _ in range(200)]
    assert set(drawn) == {0, 1}
    assert 60 < sum(drawn) < 140


def test_an_edit_that_is_impossible_leaves_the_sequence_and_costs_nothing() -> None:
    edits = Edits(alphabet=(1, 2), max_length=2, min_length=2, substitute=0.0)
    for seed in range(4):
        assert edits.propose((1, 2), np.random.default_rng(seed)) == Move((1, 2), 0.0)


def test_a_value_round_takes_the_best_of_each_state() -> None:
    q_SA = np.array([[1.0, 3.0], [5.0, 2.0], [0.0, 0.0]])
    P = np.array([[[0, 1.0, 0], [1.0, 0, 0]], [[0, 0, 1.0], [0, 1.0, 0]], [[0, 0, 1.0]] * 2])
    mdp = FiniteMDP(P, np.zeros((3, 2)), [1, 0, 0], [False, False, True])
    assert value_round(mdp, q_SA, 0.5, np.random.default_rng(0)).tolist() == [[2.5, 1.5], [0.0, 2.5], [0.0, 0.0]]


def test_a_plan_may_use_every_word_of_the_table() -> None:
    Planner.Config(mdp=tied_mdp(), states=[(0,), (1,)]).build(Table(4, capacity=4), Sampling(), 64)
    with pytest.raises(ValueError, match="4 actions, the table 3 words"):
        Planner.Config(mdp=tied_mdp(), states=[(0,), (1,)]).build(Table(3, capacity=4), Sampling(), 64)


# ------------------------------------------------------------ ties


def tied_mdp() -> FiniteMDP:
    """One state of four actions that pay 0, 1, 1 and 0, and then the end."""
    end = [[[0.0, 1.0]] * 4, [[0.0, 1.0]] * 4]
    return FiniteMDP(end, [[0.0, 1.0, 1.0, 0.0], [0.0] * 4], [1.0, 0.0], [False, True])


def test_of_equal_actions_the_smallest_is_taken() -> None:
    for solution in (iterate_values(tied_mdp(), 0.5), iterate_policies(tied_mdp(), 0.5)):
        assert solution.action_S[0] == 1
        assert solution.value_S.tolist() == [1.0, 0.0]
    assert backward_induction(tied_mdp(), 2).action_HS[1:, 0].tolist() == [1, 1]


@pytest.mark.parametrize(("power", "width", "expected"), [
    (0.0, 5, [(2,), (0, 0), (0, 1), (0, 2), (1, 0)]),  # 1/3, and then six of 1/9
    (1.0, 5, [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1)]),  # -ln 3 a token, all of them: (2) was found first and drops out
    (1.0, 7, [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (2,)]),
])  # fmt: skip
def test_of_equal_completions_a_beam_has_the_smaller_tokens_first(
    power: float, width: int, expected: list[Tokens]
) -> None:
    beams = beam_search(uniform(), PROMPT, Sampling(max_tokens=2), frozenset({2}), width, power)
    assert [beam.tokens for beam in beams] == expected
    for beam in beams:
        assert beam.logprob == pytest.approx(-len(beam.tokens) * math.log(3))


def test_a_beam_looks_for_smaller_tokens_that_are_as_likely() -> None:
    # (2,) ends with probability 1/2; so do 0 and then, for certain, 2
    policy = uniform()
    with torch.no_grad():
        policy.weight[policy.row(PROMPT)] = torch.tensor([0.0, -100.0, 0.0])
        policy.weight[policy.row((*PROMPT, 0))] = torch.tensor([-100.0, -100.0, 100.0])
    (best,) = beam_search(policy, PROMPT, Sampling(max_tokens=3), frozenset({2}), width=1)
    assert best.tokens == (0, 2)


def test_of_equal_draws_the_first_is_kept() -> None:
    rngs = [np.random.default_rng(seed) for seed in range(6)]
    sampler, sampling = LocalSampler(uniform(9), frozenset()), Sampling(max_tokens=1)
    drawn = [sampler.sample([PROMPT], sampling, [np.random.default_rng(seed)])[0].tokens for seed in range(6)]
    assert len(set(drawn)) > 1
    best = sample_best(sampler, PROMPT, lambda y: 1.0, sampling, rngs)
    assert best.completion.tokens == drawn[0]


# ------------------------------------------------------------ annealing


def accepted(start: Tokens, edits: Edits, fall: float, num_steps: int = 7) -> int:
    """How many edits a walk counts where a leading 1 scores `fall` less than anything else, at temperature 1."""
    score = {1: -fall}
    walk = anneal(start, lambda y: score.get(y[0], 0.0), edits, lambda k: 1.0, num_steps, np.random.default_rng(0))
    return walk.accepted


def test_accepted_counts_the_edits_that_were_made() -> None:
    # words of one letter of two: every edit changes it to the other
    flip = Edits(alphabet=(1, 2), max_length=1, min_length=1, insert=0.0, delete=0.0)
    assert accepted((2,), flip, fall=0.0) == 7  # all equal: each of seven
    assert accepted((2,), flip, fall=1e9) == 0  # all downhill: none
    assert accepted((1,), flip, fall=1e9) == 1  # up once, and never down again
    # the alphabet has no other letter, so that no edit is possible and nothing is ever made
    assert accepted((2,), Edits(alphabet=(2,), max_length=1, min_length=1), fall=0.0) == 0


# ------------------------------------------------------------ first visits


def test_action_values_count_the_first_visit_of_a_pair() -> None:
    # returns at discount .5 from the back: 2, 3 + 1 = 4, 2 + 2 = 4, 1 + 2 = 3; (0, 0) comes first at 3, again at 4
    path = Path((0, 1, 0, 0), (0, 0, 0, 1), (1.0, 2.0, 3.0, 2.0))
    q_SA = first_visit_action_values([path], 3, 2, 0.5)
    assert q_SA[:2].tolist() == [[3.0, 2.0], [4.0, pytest.approx(math.nan, nan_ok=True)]]
    assert np.isnan(q_SA[2]).all()
    again = Path((0,), (0,), (7.0,))
    assert first_visit_action_values([path, again], 3, 2, 0.5)[0, 0] == (3.0 + 7.0) / 2


def test_control_counts_the_first_visit_of_a_pair() -> None:
    # one state, one action, 1 a step, cut after three: the first visit's return is 3, the mean of all would be 2
    mdp = FiniteMDP([[[1.0]]], [[1.0]], [1.0], [False])
    found = control(mdp, 1.0, lambda n: 0.0, num_paths=2, max_steps=3, rng=np.random.default_rng(0))
    assert found.q_SA.tolist() == [[3.0]]


# ------------------------------------------------------------ tree search


@pytest.mark.parametrize(("prior_V", "visits_V", "value", "expected"), [
    ([0.9, 0.1], [1, 0], 10.0, 0),  # an untried token counts as much as the best one seen, and no more
    ([0.2, 0.8], [1, 0], 0.0, 0),  # 1 + .2 sqrt(2) / 2 = 1.141 against .8 sqrt(2) = 1.131
    ([0.19, 0.81], [1, 0], 0.0, 1),  # 1.134 against 1.146
])  # fmt: skip
def test_the_token_that_a_simulation_tries_by_hand(
    prior_V: list[float], visits_V: list[int], value: float, expected: int
) -> None:
    problem = Problem(PROMPT, Sampling(max_tokens=3), frozenset(), lambda tokens: 0.0)
    search = TreeSearch(TreeSearch.Config(), uniform(2), problem, lambda tokens: 0.0)
    search._lowest, search._highest = 0.0, 1.0
    node = Node(
        prior_V=np.array(prior_V), cost_V=np.zeros(2), value=value, visits_V=np.array(visits_V),
        total_V=np.array([1.0, 0.0]), largest_V=np.array([1.0, -math.inf]),
    )  # fmt: skip
    assert search._choose(node) == expected


# ------------------------------------------------------------ what a plan says of itself


def test_control_values_are_those_of_the_best_actions() -> None:
    solution = control(corridor(2), 0.5, lambda n: 1.0, 400, 50, np.random.default_rng(0))
    assert solution.value_S.tolist() == solution.q_SA.max(axis=1).tolist()
    assert len(set(solution.value_S.tolist())) == 3
    assert (solution.q_SA.min(axis=1) < solution.value_S)[:2].all()


def test_backward_induction_has_an_action_for_every_state() -> None:
    # state 0 is paid for action 1, state 1 for action 0
    end = [[[0, 0, 1.0]] * 2] * 3
    mdp = FiniteMDP(end, [[0.0, 2.0], [3.0, 0.0], [0.0, 0.0]], [0.5, 0.5, 0], [False, False, True])
    plan = backward_induction(mdp, 1)
    assert plan.action_HS[1].tolist() == [1, 0, 0]
    assert plan.value_HS[1].tolist() == [2.0, 3.0, 0.0]


def test_a_text_problem_starts_at_the_empty_completion() -> None:
    tree = enumerate_sequences(uniform(), PROMPT, Sampling(max_tokens=2), frozenset({0}))
    mdp, prefixes = text_mdp(tree, len)
    assert prefixes[int(mdp.start.argmax())] == ()


def test_a_path_without_a_step_is_worth_nothing() -> None:
    probs_SA = np.full((2, 2), 0.5)
    paths = [Path((), (), ()), Path((0,), (1,), (4.0,))]
    assert ordinary_importance(paths, probs_SA, probs_SA, 1.0) == 2.0


# ------------------------------------------------------------ tables that are none


@pytest.mark.parametrize(("P", "words"), [
    (np.ones((2, 1, 3)), r"\[S, A, S\]"),
    (np.ones((2, 0, 2)), r"\[S, A, S\]"),
])  # fmt: skip
def test_tables_of_a_wrong_shape_are_refused(P: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        FiniteMDP(P, np.zeros(P.shape[:2]), np.ones(len(P)) / len(P), np.zeros(len(P), dtype=bool))


def test_of_wrong_distributions_the_first_state_is_named() -> None:
    fine, negative = [0.5, 0.5], [1.5, -0.5]
    with pytest.raises(ValueError, match=r"P\[1, 1\] sums to 1 with minimum -0.5"):
        FiniteMDP([[fine, fine], [fine, negative]], np.zeros((2, 2)), [1, 0], [False, False])
    FiniteMDP([[fine, fine], [[0, 0], negative]], np.zeros((2, 2)), [1, 0], [False, True])  # nobody reads what follows
    mdp = FiniteMDP([[fine, fine], [fine, fine]], np.zeros((2, 2)), [1, 0], [False, False])
    with pytest.raises(ValueError, match="policy of state 1"):
        policy_values(mdp, [fine, negative], 0.5)


def test_a_distribution_of_the_start_below_0_is_refused() -> None:
    with pytest.raises(ValueError, match="start sums to 1: it must be >= 0"):
        FiniteMDP([[[0.5, 0.5]]] * 2, np.zeros((2, 1)), [1.5, -0.5], [False, False])


class Unread(Table):
    """A policy that nobody may ask."""

    def prefill(self, prompts: Any) -> Any:
        raise AssertionError("it was read")


def test_without_a_kl_the_reference_of_a_search_is_not_read() -> None:
    problem = Problem(PROMPT, Sampling(max_tokens=2), frozenset(), lambda tokens: float(tokens[0]))
    search = TreeSearch(TreeSearch.Config(), uniform(), problem, lambda tokens: 0.0, reference=Unread(3))
    assert len(search.decode()) == 2
    cold = Problem(PROMPT, Sampling(max_tokens=2, temperature=0.0), frozenset(), lambda tokens: 0.0)
    with pytest.raises(ValueError, match=r"temperature=0.0: a token that only the reference rules out"):
        TreeSearch(TreeSearch.Config(kl_weight=0.1), uniform(), cold, lambda tokens: 0.0, reference=uniform())


def test_of_equal_sequences_a_walk_keeps_the_first() -> None:
    walk = anneal((1, 2), lambda tokens: 0.0, Edits(alphabet=(1, 2), max_length=3), lambda step: 1.0, 20, _rng())
    assert walk.best == (1, 2)
    assert walk.last != (1, 2)


def _rng() -> np.random.Generator:
    return np.random.default_rng(0)
