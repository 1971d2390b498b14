"""Value iteration: repeated Bellman optimality updates, and the finite-horizon form.

Bellman 1957; Sutton & Barto 2018, eq. 4.10. From V = 0, in every state at once:

    V(s) <- max_a [ r(s, a) + discount * sum_t P(t | s, a) V(t) ],    V(terminal) = 0

A sweep reduces the largest error of V by the factor `discount`. Stopping at a change below theta * (1 - discount) /
discount therefore leaves |V - V*| < theta.

Differs from the book: all states change at once (the book's in-place sweeps end at the same V), and the threshold is
the one with a guarantee.
Degenerates: at discount 1 there is no such bound, and theta bounds the last change only; a problem in which reward can
be collected for ever has no value, and is refused after `max_sweeps`. With a limited number of steps the best action
depends on how many are left: see `backward_induction`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from strop.planning.mdp import FiniteMDP, Floats, Ints, Solution, action_values, check_discount


def iterate_values(mdp: FiniteMDP, discount: float, theta: float = 1e-10, max_sweeps: int = 100_000) -> Solution:
    """V* within theta, and the greedy policy (ties: the smallest action)."""
    check_discount(discount)
    if not theta > 0.0:
        raise ValueError(f"theta={theta}: the accuracy is above 0.")
    threshold = _threshold(discount, theta)
    value_S, change = np.zeros(mdp.num_states), math.inf
    for sweep in range(1, max_sweeps + 1):
        q_SA = action_values(mdp, value_S, discount)
        change = float(np.abs(q_SA.max(axis=1) - value_S).max())
        value_S = q_SA.max(axis=1)
        if change < threshold:
            return Solution(value_S, q_SA, q_SA.argmax(axis=1), sweep)
    raise ValueError(
        f"value iteration still changes by {change:.3g} after {max_sweeps} sweeps at discount={discount}: raise "
        "max_sweeps or theta. At discount 1 a reward that can be collected for ever has no finite value."
    )


def _threshold(discount: float, theta: float) -> float:
    if discount == 0.0:
        return math.inf  # one sweep is exact
    return theta if discount == 1.0 else theta * (1.0 - discount) / discount


@dataclass(frozen=True, slots=True)
class FiniteHorizon:
    """Optimal values [H + 1, S] and actions [H + 1, S], by how many steps are left; with 0 left, value 0."""

    value_HS: Floats
    action_HS: Ints


def backward_induction(mdp: FiniteMDP, horizon: int, discount: float = 1.0) -> FiniteHorizon:
    """The optimum of an episode that is cut after `horizon` steps (ties: the smallest action)."""
    check_discount(discount)
    value_HS = np.zeros((horizon + 1, mdp.num_states))
    action_HS = np.zeros((horizon + 1, mdp.num_states), dtype=np.int64)
    for left in range(1, horizon + 1):
        q_SA = action_values(mdp, value_HS[left - 1], discount)
        value_HS[left], action_HS[left] = q_SA.max(axis=1), q_SA.argmax(axis=1)
    return FiniteHorizon(value_HS, action_HS)
