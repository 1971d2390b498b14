"""A FiniteMDP from lists of transitions, as Gymnasium's toy texts hold them in `P`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np

from strop.planning.mdp import FiniteMDP

Transitions: TypeAlias = "Mapping[int, Mapping[int, Sequence[tuple[float, int, float, bool]]]]"
"""P[state][action]: (probability, next state, reward, whether the episode ends) of everything that may happen."""


def mdp_of(transitions: Transitions, start: int | Mapping[int, float]) -> FiniteMDP:
    """The decision process of these transitions, from one state or a distribution of the first state.

    States are numbered from 0, and the last one is added: it is where every episode ends. All states have the same
    actions. Rewards are means over what may happen.
    """
    states, actions = len(transitions), len(transitions[0])
    P_SAS, R_SA, start_S = (
        np.zeros((states + 1, actions, states + 1)),
        np.zeros((states + 1, actions)),
        np.zeros(states + 1),
    )
    for state, options in transitions.items():
        for action, outcomes in options.items():
            for probability, following, reward, is_over in outcomes:
                P_SAS[state, action, states if is_over else following] += probability
                R_SA[state, action] += probability * reward
    for state, probability in ({start: 1.0} if isinstance(start, int) else start).items():
        start_S[state] = probability
    return FiniteMDP(P_SAS, R_SA, start_S, np.arange(states + 1) == states)
