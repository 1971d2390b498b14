"""The games of one player, solved: values and best actions by how many turns are left."""

from __future__ import annotations

from functools import cache

from strop.environments.blackjack import first_hands, hand_transitions
from strop.environments.frozen_lake import START, lake
from strop.environments.gridworld import YOU, grid_transitions
from strop.environments.taxi import first_states, town
from strop.planning.mdp import mdp_of
from strop.planning.value_iteration import FiniteHorizon, backward_induction

CARDS = 18
"""More than a hand can take: from 4 to 21 by aces that count as 1."""


@cache
def map_solved(rows: tuple[str, ...], turns: int) -> FiniteHorizon:
    """A grid world."""
    return backward_induction(mdp_of(grid_transitions(rows), "".join(rows).index(YOU)), turns)


@cache
def lake_solved(rows: tuple[str, ...], turns: int) -> FiniteHorizon:
    """A frozen lake."""
    return backward_induction(mdp_of(lake(rows).P, "".join(rows).index(START)), turns)


@cache
def taxi_solved(turns: int) -> FiniteHorizon:
    """The taxi's town."""
    states = first_states()
    return backward_induction(mdp_of(town().P, dict.fromkeys(states, 1 / len(states))), turns)


@cache
def blackjack_solved() -> FiniteHorizon:
    """Blackjack."""
    return backward_induction(mdp_of(hand_transitions(), first_hands()), CARDS)


def blackjack_value() -> float:
    """What the best player of blackjack earns, before the cards are dealt."""
    value_S = blackjack_solved().value_HS[-1]
    return sum(chance * float(value_S[state]) for state, chance in first_hands().items())
