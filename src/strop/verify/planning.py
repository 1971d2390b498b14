"""Planners on tables: the optimum by three methods, Monte Carlo over every path, and annealing's chain."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from strop.planning.annealing import Edits, transition_matrix
from strop.planning.evaluation import policy_values
from strop.planning.mdp import FiniteMDP, Floats, deterministic
from strop.planning.monte_carlo import (
    Path,
    control,
    every_visit_action_values,
    first_visit_values,
    ordinary_importance,
)
from strop.planning.policy_iteration import iterate_policies
from strop.planning.value_iteration import iterate_values
from strop.types import Tokens
from strop.verify.checks import Gap

TWO_WORDS = {0.9: (19.0, 20.0), 0.0: (1.0, 2.0)}
"""By discount: r + discount V* with V* = 2 / (1 - discount), for any transitions."""
DISCOUNT = 0.7
TEMPERATURE = 0.8
EDITS = [
    Edits(alphabet=(3, 5), max_length=3),
    Edits(alphabet=(0, 1, 2), max_length=3, min_length=1, insert=2.0, delete=0.5, substitute=0.7),
    Edits(alphabet=(4, 9), max_length=2, min_length=2),
    Edits(alphabet=(4, 9), max_length=3, substitute=0.0),
    Edits(alphabet=(7,), max_length=4),
]


# ------------------------------------------------------------ worlds


def two_contexts(lead: float = 0.5) -> FiniteMDP:
    """Two contexts, two words that pay 1 and 2 in both; word i leads to context i with probability `lead`."""
    P = np.array([[[lead, 1 - lead], [1 - lead, lead]]] * 2)
    return FiniteMDP(P, [[1.0, 2.0], [1.0, 2.0]], [0.5, 0.5], [False, False])


def random_mdp(seed: int, states: int = 7, actions: int = 3) -> FiniteMDP:
    """Random tables with one terminal state, the last; rewards depend on where a transition leads."""
    rng = np.random.default_rng(seed)
    P = rng.dirichlet(np.ones(states), size=(states, actions))
    start = rng.dirichlet(np.ones(states))
    return FiniteMDP(P, rng.normal(size=(states, actions, states)), start, np.arange(states) == states - 1)


def layered() -> FiniteMDP:
    """0 -> 1 or 2 -> 3 or the end (4) -> the end: at most three steps, and no state is visited twice."""
    rng = np.random.default_rng(0)
    P = np.zeros((5, 2, 5))
    for state, targets in {0: (1, 2), 1: (3, 4), 2: (3, 4), 3: (4,), 4: (4,)}.items():
        for action in range(2):
            P[state, action, list(targets)] = rng.dirichlet(np.ones(len(targets)))
    return FiniteMDP(P, rng.normal(size=(5, 2, 5)), [1, 0, 0, 0, 0], [False] * 4 + [True])


def policies() -> tuple[Floats, Floats]:
    """Two random policies of the layered problem."""
    rng = np.random.default_rng(1)
    return rng.dirichlet(np.ones(2), size=5), rng.dirichlet(np.ones(2), size=5)


def every_path(mdp: FiniteMDP, policy_SA: Floats, state: int = 0) -> Iterator[tuple[float, Path]]:
    """(probability, path) of every path from a state."""
    if mdp.terminal[state]:
        yield 1.0, Path((), (), ())
        return
    for action, after in np.argwhere(mdp.P[state] > 0).tolist():
        chance = float(policy_SA[state, action] * mdp.P[state, action, after])
        for probability, rest in every_path(mdp, policy_SA, after):
            reward = float(mdp.R[state, action, after])
            yield (
                chance * probability,
                Path((state, *rest.states), (action, *rest.actions), (reward, *rest.rewards)),
            )


def best_of_all(mdp: FiniteMDP, discount: float) -> Floats:
    """The largest value of every state under any deterministic policy; the last state is terminal."""
    choices = itertools.product(range(mdp.num_actions), repeat=mdp.num_states - 1)
    every = [
        policy_values(mdp, deterministic(np.array([*actions, 0]), mdp.num_actions), discount).value_S
        for actions in choices
    ]
    best_S: Floats = np.max(every, axis=0)
    return best_S


# ------------------------------------------------------------ optima


def _two_words(solve: Any) -> Iterator[Gap]:
    for discount, wanted in TWO_WORDS.items():
        gap = max(_largest(solve(two_contexts(lead), discount).q_SA - wanted) for lead in (0.0, 0.3, 1.0))
        yield Gap(gap, 1e-9, f"({wanted[0]:g}, {wanted[1]:g}) at discount {discount:g}")


def check_value_iteration() -> Iterator[Gap]:
    """Value iteration: r + discount * 2 / (1 - discount) in two contexts, for any transitions."""
    yield from _two_words(iterate_values)


def check_policy_iteration() -> Iterator[Gap]:
    """Policy iteration: r + discount * 2 / (1 - discount) in two contexts, for any transitions."""
    yield from _two_words(iterate_policies)


def check_linear_solve() -> Iterator[Gap]:
    """Policy evaluation: r + discount * 2 / (1 - discount), by one linear solve, for the policy that always earns 2."""
    yield from _two_words(lambda mdp, discount: policy_values(mdp, [[0.0, 1.0], [0.0, 1.0]], discount))


def check_both_iterations() -> Iterator[Gap]:
    """Value iteration: policy iteration's values, in five random problems."""
    for discount in (0.5, 0.9, 0.99):
        gaps = []
        for seed in range(5):
            mdp = random_mdp(seed)
            by_values, by_policies = iterate_values(mdp, discount, theta=1e-10), iterate_policies(mdp, discount)
            gaps.append(_largest(by_values.value_S - by_policies.value_S))
        yield Gap(max(gaps), 1e-10, f"discount {discount:g}")


def check_policy_iteration_is_best() -> Gap:
    """Policy iteration: the best of all 27 deterministic policies of a random problem."""
    mdp = random_mdp(3, states=4)
    return Gap(_largest(iterate_policies(mdp, 0.9).value_S - best_of_all(mdp, 0.9)), 1e-12)


# ------------------------------------------------------------ Monte Carlo


def check_first_visit() -> Gap:
    """Monte Carlo: the first-visit mean over every path is the policy's value."""
    mdp, (policy_SA, _) = layered(), policies()
    value = float(policy_values(mdp, policy_SA, DISCOUNT).value_S[0])
    mean = sum(p * float(first_visit_values([path], 5, DISCOUNT)[0]) for p, path in every_path(mdp, policy_SA))
    return Gap(abs(mean - value), 1e-14)


def check_first_visit_returning() -> Gap:
    """Monte Carlo: the first-visit mean is 3 in a state that pays 1 per step and is left with probability 1/3."""
    lengths = range(1, 200)
    values = [float(first_visit_values([Path((0,) * n, (0,) * n, (1.0,) * n)], 1, 1.0)[0]) for n in lengths]
    mean = math.fsum((2 / 3) ** (n - 1) / 3 * value for n, value in zip(lengths, values, strict=True))
    return Gap(abs(mean - 3.0), 1e-12)


def check_every_visit_returning() -> Iterator[Gap]:
    """Monte Carlo: the every-visit mean in a state that pays 1 per step and is left with probability 1/3."""
    # a path of n steps has the returns n, .., 1: their mean is (n + 1) / 2, and E[n] = 3
    lengths = range(1, 200)
    paths = [Path((0,) * n, (0,) * n, (1.0,) * n) for n in lengths]
    chances = [(2 / 3) ** (n - 1) / 3 for n in lengths]
    means = [float(every_visit_action_values([path], 1, 1, 1.0)[0, 0]) for path in paths]
    one = math.fsum(p * mean for p, mean in zip(chances, means, strict=True))
    yield Gap(abs(one - 2.0), 1e-12, "2 in expectation over one path (biased)")
    visits = math.fsum(p * n for p, n in zip(chances, lengths, strict=True))
    many = math.fsum(p * n * mean for p, n, mean in zip(chances, lengths, means, strict=True)) / visits
    yield Gap(abs(many - 3.0), 1e-12, "3, the value, in the limit of many paths")


def check_monte_carlo_control() -> Iterator[Gap]:
    """Monte Carlo: control finds the word that pays 2, for 10 of 10 seeds (share of failures)."""
    mdp = two_contexts()
    for first_visit in (True, False):
        missed = 0
        for seed in range(10):
            rng = np.random.default_rng(seed)
            found = control(mdp, 0.9, lambda n: 1 / (1 + 0.2 * n), 100, 30, rng, first_visit)
            missed += found.action_S.tolist() != [1, 1]
        yield Gap(missed / 10, 0.0, "first visits" if first_visit else "every visit")


def check_importance() -> Gap:
    """Monte Carlo: ordinary importance sampling over every path of another policy is the policy's value."""
    mdp, (target_SA, behaviour_SA) = layered(), policies()
    value = float(policy_values(mdp, target_SA, DISCOUNT).value_S[0])
    mean = sum(
        p * ordinary_importance([path], target_SA, behaviour_SA, DISCOUNT) for p, path in every_path(mdp, behaviour_SA)
    )
    return Gap(abs(mean - value), 1e-14)


# ------------------------------------------------------------ annealing


def space(edits: Edits) -> list[Tokens]:
    """All sequences that the edits reach."""
    lengths = range(edits.min_length, edits.max_length + 1)
    return [y for n in lengths for y in itertools.product(edits.alphabet, repeat=n)]


def heights(sequences: list[Tokens]) -> dict[Tokens, float]:
    """A normal random score for every sequence."""
    return dict(zip(sequences, np.random.default_rng(9).normal(size=len(sequences)).tolist(), strict=True))


def gibbs(sequences: list[Tokens], height: dict[Tokens, float]) -> Floats:
    """e^(score / T), normalised."""
    weights = np.exp(np.array([height[y] for y in sequences]) / TEMPERATURE)
    distribution: Floats = weights / weights.sum()
    return distribution


def check_annealing() -> Iterator[Gap]:
    """Annealing: pi P = pi for pi = e^(score / T) / Z, over all sequences that the edits reach."""
    for edits in EDITS:
        sequences = space(edits)
        height = heights(sequences)
        distribution = gibbs(sequences, height)
        chain = transition_matrix(sequences, height.__getitem__, edits, TEMPERATURE)
        weights = f"{edits.substitute:g} : {edits.insert:g} : {edits.delete:g}"
        yield Gap(_largest(distribution @ chain - distribution), 1e-15, f"{len(sequences)} at {weights}")


def _largest(gap: Floats) -> float:
    return float(np.abs(gap).max())
