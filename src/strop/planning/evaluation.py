"""Exact evaluation of a policy by one linear solve.

Sutton & Barto 2018, eq. 3.14, over the states that are not terminal:

    V(s) = sum_a pi(a | s) sum_t P(t | s, a) [ r + discount * V(t) ]    i.e.    (I - discount * P_pi) V = r_pi

Degenerates: at discount 1 the solution is unique only if the policy reaches a terminal state from every state; other
policies are refused, with the state in the message.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from strop.planning.mdp import Bools, FiniteMDP, Floats, action_values, check_discount, check_policy


@dataclass(frozen=True, slots=True)
class Values:
    """V^pi [S] and Q^pi [S, A]."""

    value_S: Floats
    q_SA: Floats


def policy_values(mdp: FiniteMDP, policy: ArrayLike, discount: float) -> Values:
    """V^pi and Q^pi of `policy` [S, A], the probabilities of the actions."""
    check_discount(discount)
    policy_SA = np.asarray(policy, dtype=np.float64)
    check_policy(mdp, policy_SA)
    live_S = ~mdp.terminal
    P_SS = np.einsum("sa,sat->st", policy_SA, mdp.P)
    if discount == 1.0:
        _require_end(mdp, P_SS > 0)
    reward_S = (policy_SA * mdp.mean_reward_SA).sum(axis=1)
    inside_SS = P_SS[np.ix_(live_S, live_S)]
    value_S = np.zeros(mdp.num_states)
    value_S[live_S] = np.linalg.solve(np.eye(len(inside_SS)) - discount * inside_SS, reward_S[live_S])
    return Values(value_S, action_values(mdp, value_S, discount))


def _require_end(mdp: FiniteMDP, edge_SS: Bools) -> None:
    """A finite chain terminates with probability 1 if and only if every state can reach a terminal one."""
    ends_S = mdp.terminal.copy()
    while True:
        more_S = ends_S | (edge_SS & ends_S).any(axis=1)
        if (more_S == ends_S).all():
            break
        ends_S = more_S
    if not ends_S.all():
        raise ValueError(
            f"at discount 1 this policy has no finite value: from state {int((~ends_S).argmax())} it never reaches a "
            "terminal state. Use a discount below 1, or a policy that terminates."
        )
