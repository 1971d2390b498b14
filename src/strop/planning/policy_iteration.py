"""Policy iteration: evaluate exactly, then take the greedy policy, until it no longer changes.

Howard 1960; Sutton & Barto 2018, sec. 4.3. A state changes its action only if another one is better by more than
rounding (1e-12 of the values' size), and then to the smallest of the best ones: a plain argmax can cycle among equal
actions. Below discount 1 the first policy takes action 0 everywhere; at discount 1 only policies that terminate have
values, so the first one moves towards a terminal state from everywhere.

Differs from the book: evaluation is the linear solve and not sweeps.
Degenerates: at discount 1 an improved policy terminates too, unless reward can be collected for ever, which has no
value and is refused; the result is the best of the policies that terminate. Every round is a strict improvement, so
there are at most A^S of them, and in practice fewer than 20.
"""

from __future__ import annotations

import numpy as np

from strop.planning.evaluation import policy_values
from strop.planning.mdp import Bools, FiniteMDP, Ints, Solution, deterministic

ROUNDING = 1e-12


def iterate_policies(mdp: FiniteMDP, discount: float, max_rounds: int = 1_000) -> Solution:
    """An optimal policy with its exact values.

    Raises ValueError if it is still changing after `max_rounds`, and at discount 1 where no policy ends.
    """
    state_S = np.arange(mdp.num_states)
    action_S = _towards_the_end(mdp) if discount == 1.0 else np.zeros(mdp.num_states, dtype=np.int64)
    for rounds in range(1, max_rounds + 1):
        values = policy_values(mdp, deterministic(action_S, mdp.num_actions), discount)
        gain_S = values.q_SA.max(axis=1) - values.q_SA[state_S, action_S]
        better_S = gain_S > ROUNDING * max(1.0, np.abs(values.q_SA).max())
        if not better_S.any():
            return Solution(values.value_S, values.q_SA, action_S, rounds)
        action_S = np.where(better_S, values.q_SA.argmax(axis=1), action_S)
    raise ValueError(f"policy iteration still changes after {max_rounds} rounds: raise max_rounds.")


def _towards_the_end(mdp: FiniteMDP) -> Ints:
    """Actions that reach a terminal state with probability 1: each has a chance to get nearer to one."""
    ends_S, action_S = mdp.terminal.copy(), np.zeros(mdp.num_states, dtype=np.int64)
    while not ends_S.all():
        leads_SA: Bools = mdp.P[:, :, ends_S].sum(axis=2) > 0
        new_S = leads_SA.any(axis=1) & ~ends_S
        if not new_S.any():
            raise ValueError(
                f"at discount 1 state {int((~ends_S).argmax())} has no finite value: no action leads from it to a "
                "terminal state. Take a discount below 1."
            )
        action_S = np.where(new_S, leads_SA.argmax(axis=1), action_S)
        ends_S = ends_S | new_S
    return action_S
