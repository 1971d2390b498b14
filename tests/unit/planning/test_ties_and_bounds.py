"""What planners do with equals, with what lies exactly on a limit, and with a thing that comes twice in one path."""

from __future__ import annotations

import math

import numpy as np
import pytest

from strop.planning.annealing import Edits, anneal
from strop.planning.beam import beam_search
from strop.planning.best_of_n import sample_best
from strop.planning.enumeration import enumerate_sequences
from strop.planning.mdp import FiniteMDP
from strop.planning.monte_carlo import Path, control, first_visit_action_values
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
