"""Policy iteration: evaluate exactly, then take the greedy policy, until it stays.

Howard 1960; Sutton & Barto 2018, sec. 4.3. It starts at action 0 everywhere. A state changes its action only where
another one is better by more than rounding (1e-12 of the values' size), and then to the smallest of the best ones:
among equal actions a plain argmax can go round in circles for ever.

Differs from the book: evaluation is the linear solve and not sweeps.
Degenerates: at discount 1 a policy on the way may never end; `evaluation.policy_values` refuses it. Every round is a
strict improvement, so there are at most A^S of them, and in practice fewer than 20.
"""

from __future__ import annotations

import numpy as np

from strop.planning.evaluation import policy_values
from strop.planning.mdp import FiniteMDP, Solution, deterministic

ROUNDING = 1e-12


def iterate_policies(mdp: FiniteMDP, discount: float, max_rounds: int = 1_000) -> Solution:
    """An optimal policy with its exact values. Raises ValueError if it is still changing after `max_rounds`."""
    state_S = np.arange(mdp.num_states)
    action_S = np.zeros(mdp.num_states, dtype=np.int64)
    for rounds in range(1, max_rounds + 1):
        values = policy_values(mdp, deterministic(action_S, mdp.num_actions), discount)
        gain_S = values.q_SA.max(axis=1) - values.q_SA[state_S, action_S]
        better_S = gain_S > ROUNDING * max(1.0, np.abs(values.q_SA).max())
        if not better_S.any():
            return Solution(values.value_S, values.q_SA, action_S, rounds)
        action_S = np.where(better_S, values.q_SA.argmax(axis=1), action_S)
    raise ValueError(f"policy iteration still changes after {max_rounds} rounds: raise max_rounds.")
