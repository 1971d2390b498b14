"""Monte Carlo methods: values as means of sampled returns, no model and no bootstrap.

Sutton & Barto 2018, ch. 5, with G_t = sum_k discount^k r_{t+k} of one path:

    first visit    V(s) = mean of G at the first visit of s in each path; unbiased
    every visit    V(s) = mean of G over all visits; biased, consistent
    ordinary       mean(rho G)                eq. 5.5; unbiased, its variance can be infinite
    weighted       sum(rho G) / sum(rho)      eq. 5.6; biased, consistent, and never outside the range of G

The same over pairs (s, a) gives Q. rho is the probability ratio of the whole path, target over behaviour. Control is
on-policy, by first or by every visit, with an epsilon-greedy policy (sec. 5.4).

Degenerates: a state that no path visits has no value (NaN). The return of a path that is cut at `max_steps` lacks what
would have followed: with a discount below 1, the error at step t is at most discount^(max_steps - t) of a value, so it
is largest for late visits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from strop.planning.mdp import FiniteMDP, Floats, Solution, check_discount, check_policy

Place = int | tuple[int, int]
"""A state, or a state and an action."""


@dataclass(frozen=True, slots=True)
class Path:
    """States, actions and rewards of one episode: reward t follows action t in state t."""

    states: tuple[int, ...]
    actions: tuple[int, ...]
    rewards: tuple[float, ...]

    @property
    def pairs(self) -> tuple[tuple[int, int], ...]:
        """(state, action) of every step."""
        return tuple(zip(self.states, self.actions, strict=True))

    def returns(self, discount: float) -> list[float]:
        """G of every step."""
        later, backwards = 0.0, []
        for reward in reversed(self.rewards):
            later = reward + discount * later
            backwards.append(later)
        return backwards[::-1]


def play(mdp: FiniteMDP, policy_SA: Floats, rng: np.random.Generator, max_steps: int) -> Path:
    """One path of `policy_SA`, until a terminal state or `max_steps`."""
    states: list[int] = []
    actions: list[int] = []
    rewards: list[float] = []
    check_policy(mdp, policy_SA)
    state = _draw(mdp.start, rng)
    while not mdp.terminal[state] and len(states) < max_steps:
        action = _draw(policy_SA[state], rng)
        after = _draw(mdp.P[state, action], rng)
        reward = mdp.R[state, action] if mdp.R.ndim == 2 else mdp.R[state, action, after]
        states.append(state)
        actions.append(action)
        rewards.append(float(reward))
        state = after
    return Path(tuple(states), tuple(actions), tuple(rewards))


def _draw(distribution: Floats, rng: np.random.Generator) -> int:
    """Inverse-transform sampling, scaled by the actual sum, so that rounding never draws probability 0."""
    cumulated = distribution.cumsum()
    return int(cumulated.searchsorted(rng.random() * cumulated[-1], side="right"))


def first_visit_values(paths: Iterable[Path], num_states: int, discount: float) -> Floats:
    """V [S]: the mean return after the first visit of each path; NaN where unvisited."""
    return _mean_returns(paths, (num_states,), discount, lambda path: path.states, _first_steps)


def every_visit_values(paths: Iterable[Path], num_states: int, discount: float) -> Floats:
    """V [S]: the mean return after every visit; NaN where unvisited."""
    return _mean_returns(paths, (num_states,), discount, lambda path: path.states, _every_step)


def first_visit_action_values(paths: Iterable[Path], num_states: int, num_actions: int, discount: float) -> Floats:
    """Q [S, A]: the mean return after the first visit of (s, a) in each path; NaN where unvisited."""
    return _mean_returns(paths, (num_states, num_actions), discount, lambda path: path.pairs, _first_steps)


def every_visit_action_values(paths: Iterable[Path], num_states: int, num_actions: int, discount: float) -> Floats:
    """Q [S, A]: the mean return after every visit of (s, a); NaN where unvisited."""
    return _mean_returns(paths, (num_states, num_actions), discount, lambda path: path.pairs, _every_step)


def _mean_returns(
    paths: Iterable[Path],
    shape: tuple[int, ...],
    discount: float,
    visited: Callable[[Path], Sequence[Place]],
    steps: Callable[[Sequence[Place]], Iterable[int]],
) -> Floats:
    check_discount(discount)
    total, count = np.zeros(shape), np.zeros(shape)
    for path in paths:
        return_T, place_T = path.returns(discount), visited(path)
        for t in steps(place_T):
            total[place_T[t]] += return_T[t]
            count[place_T[t]] += 1
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _first_steps(visited: Sequence[Place]) -> list[int]:
    """The first step at each state or pair."""
    first: dict[Place, int] = {}
    for t, place in enumerate(visited):
        first.setdefault(place, t)
    return list(first.values())


def _every_step(visited: Sequence[Place]) -> range:
    return range(len(visited))


def path_ratio(path: Path, target_SA: Floats, behaviour_SA: Floats) -> float:
    """The probability of the path's actions under the target, over that under the behaviour."""
    at = (list(path.states), list(path.actions))
    if (behaviour_SA[at] == 0.0).any():
        raise ValueError("a path holds an action that the behaviour policy never takes: it comes from another policy.")
    return float(np.prod(target_SA[at] / behaviour_SA[at]))


def ordinary_importance(paths: Sequence[Path], target_SA: Floats, behaviour_SA: Floats, discount: float) -> float:
    """The target policy's value of the start, from the behaviour's paths: mean(rho G)."""
    ratio_N, return_N = _ratios_and_returns(paths, target_SA, behaviour_SA, discount)
    return float((ratio_N * return_N).mean())


def weighted_importance(paths: Sequence[Path], target_SA: Floats, behaviour_SA: Floats, discount: float) -> float:
    """The target's return as sum(rho G) / sum(rho); NaN where the target can take none of the paths."""
    ratio_N, return_N = _ratios_and_returns(paths, target_SA, behaviour_SA, discount)
    return float((ratio_N * return_N).sum() / ratio_N.sum()) if ratio_N.sum() > 0.0 else float("nan")


def _ratios_and_returns(
    paths: Sequence[Path], target_SA: Floats, behaviour_SA: Floats, discount: float
) -> tuple[Floats, Floats]:
    check_discount(discount)
    if not paths:
        raise ValueError("no path was given: an estimate needs at least one.")
    ratio_N = np.array([path_ratio(path, target_SA, behaviour_SA) for path in paths])
    return ratio_N, np.array([path.returns(discount)[0] if path.rewards else 0.0 for path in paths])


def epsilon_greedy(q_SA: Floats, epsilon: float) -> Floats:
    """The policy [S, A] (1 - epsilon) * greedy + epsilon / A (ties: the smallest action)."""
    if not 0.0 <= epsilon <= 1.0:
        raise ValueError(f"epsilon={epsilon}: it is a probability.")
    num_states, num_actions = q_SA.shape
    policy_SA = np.full((num_states, num_actions), epsilon / num_actions)
    policy_SA[np.arange(num_states), q_SA.argmax(axis=1)] += 1.0 - epsilon
    return policy_SA


def control(
    mdp: FiniteMDP,
    discount: float,
    epsilon: Callable[[int], float],
    num_paths: int,
    max_steps: int,
    rng: np.random.Generator,
    first_visit: bool = True,
) -> Solution:
    """On-policy control: Q is the mean return after first visits (or all visits), the policy is epsilon-greedy in Q.

    `epsilon(n)` is the epsilon of path n; it must go to 0 for the policy to become optimal.
    """
    check_discount(discount)
    q_SA = np.zeros((mdp.num_states, mdp.num_actions))
    count_SA = np.zeros((mdp.num_states, mdp.num_actions))
    steps = _first_steps if first_visit else _every_step
    for n in range(num_paths):
        path = play(mdp, epsilon_greedy(q_SA, epsilon(n)), rng, max_steps)
        return_T, pair_T = path.returns(discount), path.pairs
        for t in steps(pair_T):
            at = pair_T[t]
            count_SA[at] += 1
            q_SA[at] += (return_T[t] - q_SA[at]) / count_SA[at]
    return Solution(q_SA.max(axis=1), q_SA, q_SA.argmax(axis=1), num_paths)
