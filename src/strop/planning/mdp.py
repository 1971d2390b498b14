"""Finite Markov decision processes as tables, and the one-step look-ahead that all planners share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]
Bools: TypeAlias = NDArray[np.bool_]
Transitions: TypeAlias = "Mapping[int, Mapping[int, Sequence[tuple[float, int, float, bool]]]]"
"""P[state][action]: (probability, next state, reward, whether the episode ends) of everything that may happen."""

SUM_TOLERANCE = 1e-9


@dataclass(frozen=True, slots=True)
class FiniteMDP:
    """A decision process of S states and A actions; every action is allowed everywhere.

    P         [S, A, S]  P[s, a, t]: the probability to go from s to t by a
    R         [S, A, S] the reward of a transition, or [S, A] its mean
    start     [S]        the distribution of the first state
    terminal  bool [S]   the episode ends: the value is 0, and the rows of P and R are not used

    Arguments may be any array-like; the fields are read-only, in float64 and bool.
    """

    P: Floats
    R: Floats
    start: Floats
    terminal: Bools

    def __init__(self, P: ArrayLike, R: ArrayLike, start: ArrayLike, terminal: ArrayLike) -> None:
        given = {"P": P, "R": R, "start": start, "terminal": terminal}
        for name, value in given.items():
            array = np.array(value, dtype=bool if name == "terminal" else np.float64)
            array.setflags(write=False)
            object.__setattr__(self, name, array)
        _check_shapes(self)
        _check_distributions(self)

    @property
    def num_states(self) -> int:
        return int(self.P.shape[0])

    @property
    def num_actions(self) -> int:
        return int(self.P.shape[1])

    @property
    def mean_reward_SA(self) -> Floats:
        """The mean reward of an action, over next states."""
        return self.R if self.R.ndim == 2 else np.einsum("sat,sat->sa", self.P, self.R)


@dataclass(frozen=True, slots=True)
class Solution:
    """The result of a planner: values, action values, the greedy action of every state, and the number of rounds."""

    value_S: Floats
    q_SA: Floats
    action_S: Ints
    rounds: int


def mdp_of(transitions: Transitions, start: int | Mapping[int, float]) -> FiniteMDP:
    """The decision process of these transitions, from one state or a distribution of the first state.

    States are numbered from 0, and the last one is added: it is where every episode ends. All states have the same
    actions. Rewards are means over what may happen.
    """
    states, actions = len(transitions), len(transitions[0])
    P_SAS = np.zeros((states + 1, actions, states + 1))
    R_SA, start_S = np.zeros((states + 1, actions)), np.zeros(states + 1)
    for state, options in transitions.items():
        for action, outcomes in options.items():
            for probability, following, reward, is_over in outcomes:
                P_SAS[state, action, states if is_over else following] += probability
                R_SA[state, action] += probability * reward
    for state, probability in ({start: 1.0} if isinstance(start, int) else start).items():
        start_S[state] = probability
    return FiniteMDP(P_SAS, R_SA, start_S, np.arange(states + 1) == states)


def action_values(mdp: FiniteMDP, value_S: Floats, discount: float) -> Floats:
    """Q [S, A] by one-step look-ahead: r + discount * sum_t P V(t); 0 in terminal states.

    Sutton & Barto 2018, eq. 4.10. Its maximum over actions is a contraction by `discount` in the largest difference.
    """
    later_S = np.where(mdp.terminal, 0.0, value_S)
    q_SA: Floats = mdp.mean_reward_SA + discount * (mdp.P @ later_S)
    return np.where(mdp.terminal[:, None], 0.0, q_SA)


def deterministic(action_S: Ints, num_actions: int) -> Floats:
    """The policy [S, A] that always takes `action_S`."""
    policy_SA: Floats = np.eye(num_actions, dtype=np.float64)[action_S]
    return policy_SA


def check_discount(discount: float) -> None:
    """Refuse a discount outside [0, 1]."""
    if not 0.0 <= discount <= 1.0:
        raise ValueError(f"discount={discount}: it lies in [0, 1].")


def check_policy(mdp: FiniteMDP, policy_SA: Floats) -> None:
    """Refuse a policy that is not a distribution over actions in every state."""
    shape = (mdp.num_states, mdp.num_actions)
    if policy_SA.shape != shape:
        raise ValueError(f"the policy has shape {policy_SA.shape}: a probability per state and action is {shape}.")
    wrong_S = (policy_SA < 0).any(axis=1) | (np.abs(policy_SA.sum(axis=1) - 1.0) > SUM_TOLERANCE)
    if wrong_S.any():
        state = int(wrong_S.argmax())
        raise ValueError(f"the policy of state {state} is {policy_SA[state].tolist()}: it must be >= 0 and sum to 1.")


def _check_shapes(mdp: FiniteMDP) -> None:
    if mdp.P.ndim != 3 or mdp.P.shape[0] != mdp.P.shape[2] or 0 in mdp.P.shape:
        raise ValueError(f"P has shape {mdp.P.shape}: it must be [S, A, S], from state, action, to state.")
    states, actions, _ = mdp.P.shape
    if mdp.R.shape not in ((states, actions), (states, actions, states)):
        raise ValueError(f"R has shape {mdp.R.shape}: with this P it must be {(states, actions)} or {mdp.P.shape}.")
    for name in ("start", "terminal"):
        shape = getattr(mdp, name).shape
        if shape != (states,):
            raise ValueError(f"{name} has shape {shape}: P has {states} states, so it must be ({states},).")
    if not np.isfinite(mdp.R).all():
        raise ValueError("R holds NaN or infinity: a reward is a finite number.")


def _check_distributions(mdp: FiniteMDP) -> None:
    is_distribution_SA = (mdp.P >= 0).all(axis=2) & (np.abs(mdp.P.sum(axis=2) - 1.0) <= SUM_TOLERANCE)
    wrong_SA = ~mdp.terminal[:, None] & ~is_distribution_SA
    if wrong_SA.any():
        state, action = (int(i) for i in np.argwhere(wrong_SA)[0])
        row = mdp.P[state, action]
        raise ValueError(
            f"P[{state}, {action}] sums to {row.sum():.6g} with minimum {row.min():.6g}: the probabilities of the next "
            "state must be >= 0 and sum to 1. Only the rows of terminal states are not read."
        )
    if not ((mdp.start >= 0).all() and abs(mdp.start.sum() - 1.0) <= SUM_TOLERANCE):
        raise ValueError(f"start sums to {mdp.start.sum():.6g}: it must be >= 0 and sum to 1.")
