"""Monte Carlo methods: values as means of sampled returns, no model and no bootstrap.

Sutton & Barto 2018, ch. 5, with G_t = sum_k discount^k r_{t+k} of one path:

    first visit    V(s) = mean of G at the first visit of s in each path; unbiased
    every visit    V(s) = mean of G over all visits; biased, consistent
    ordinary       mean(rho G)                eq. 5.5; unbiased, its variance can be infinite
    weighted       sum(rho G) / sum(rho)      eq. 5.6; biased, consistent, and never outside the range of G

rho is the probability ratio of the whole path, target over behaviour. Control is on-policy first-visit control with an
epsilon-greedy policy (sec. 5.4).

Degenerates: a state that no path visits has no value (NaN). A path that is cut at `max_steps` is worth what it
collected: with a discount below 1, what is first visited at step t errs by at most discount^(max_steps - t) of a value.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from strop.planning.mdp import FiniteMDP, Floats, Solution, check_discount, check_policy


@dataclass(frozen=True, slots=True)
class Path:
    """States, actions and rewards of one episode: reward t follows action t in state t."""

    states: tuple[int, ...]
    actions: tuple[int, ...]
    rewards: tuple[float, ...]

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


def _draw(law: Floats, rng: np.random.Generator) -> int:
    """By inverse transform; scaled by the law's own total, so that rounding never draws a probability of 0."""
    cumulated = law.cumsum()
    return int(cumulated.searchsorted(rng.random() * cumulated[-1], side="right"))


def first_visit_values(paths: Iterable[Path], num_states: int, discount: float) -> Floats:
    """V [S]: the mean return after the first visit of each path; NaN where no path comes."""
    return _mean_returns(paths, num_states, discount, lambda path: _first_steps(path.states))


def first_visit_action_values(paths: Iterable[Path], num_states: int, num_actions: int, discount: float) -> Floats:
    """Q [S, A]: the mean return after the first visit of (s, a) in each path; NaN where no path comes."""
    check_discount(discount)
    total_SA, count_SA = np.zeros((num_states, num_actions)), np.zeros((num_states, num_actions))
    for path in paths:
        return_T = path.returns(discount)
        for t in _first_steps(list(zip(path.states, path.actions, strict=True))):
            at = path.states[t], path.actions[t]
            total_SA[at] += return_T[t]
            count_SA[at] += 1
    return np.where(count_SA > 0, total_SA / np.maximum(count_SA, 1), np.nan)


def every_visit_values(paths: Iterable[Path], num_states: int, discount: float) -> Floats:
    """V [S]: the mean return after every visit; NaN where no path comes."""
    return _mean_returns(paths, num_states, discount, lambda path: range(len(path.states)))


def _mean_returns(
    paths: Iterable[Path], num_states: int, discount: float, steps: Callable[[Path], Iterable[int]]
) -> Floats:
    check_discount(discount)
    total_S, count_S = np.zeros(num_states), np.zeros(num_states)
    for path in paths:
        return_T = path.returns(discount)
        for t in steps(path):
            total_S[path.states[t]] += return_T[t]
            count_S[path.states[t]] += 1
    return np.where(count_S > 0, total_S / np.maximum(count_S, 1), np.nan)


def _first_steps(visited: Sequence[object]) -> list[int]:
    """Where each thing stands for the first time."""
    first: dict[object, int] = {}
    for t, thing in enumerate(visited):
        first.setdefault(thing, t)
    return list(first.values())


def path_ratio(path: Path, target_SA: Floats, behaviour_SA: Floats) -> float:
    """The probability of the path's actions under the target, over that under the behaviour."""
    at = (list(path.states), list(path.actions))
    if (behaviour_SA[at] == 0.0).any():
        raise ValueError("a path holds an action that the behaviour policy never takes: it is not its own path.")
    return float(np.prod(target_SA[at] / behaviour_SA[at]))


def ordinary_importance(paths: Sequence[Path], target_SA: Floats, behaviour_SA: Floats, discount: float) -> float:
    """The target policy's value of the start, from the behaviour's paths: mean(rho G)."""
    ratio_N, return_N = _ratios_and_returns(paths, target_SA, behaviour_SA, discount)
    return float((ratio_N * return_N).mean())


def weighted_importance(paths: Sequence[Path], target_SA: Floats, behaviour_SA: Floats, discount: float) -> float:
    """The same by sum(rho G) / sum(rho); NaN where the target could have taken none of the paths."""
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
) -> Solution:
    """On-policy first-visit control: Q is the mean first-visit return, the policy epsilon-greedy in it.

    `epsilon(n)` is that of path n; only where it goes to 0 does the policy go to the optimum.
    """
    check_discount(discount)
    q_SA = np.zeros((mdp.num_states, mdp.num_actions))
    count_SA = np.zeros((mdp.num_states, mdp.num_actions))
    for n in range(num_paths):
        path = play(mdp, epsilon_greedy(q_SA, epsilon(n)), rng, max_steps)
        return_T = path.returns(discount)
        for t in _first_steps(list(zip(path.states, path.actions, strict=True))):
            at = path.states[t], path.actions[t]
            count_SA[at] += 1
            q_SA[at] += (return_T[t] - q_SA[at]) / count_SA[at]
    return Solution(q_SA.max(axis=1), q_SA, q_SA.argmax(axis=1), num_paths)
