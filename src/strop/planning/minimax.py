"""Minimax: the exact value of a game for two, by playing all of it.

von Neumann 1928; Shannon 1950. With scores between 0 and 1 of which one player gets what the other one lacks,

    V(p) = max_m [1 - V(p after m)],    V(p) = the score where the game is over

Each position is solved once and kept.
Degenerates: a game in which a position can come again has no end here (Go without superko), and one of many positions
takes too long: see `search_game`.
"""

from __future__ import annotations

from functools import cache

from strop.types import Position


@cache
def game_value(position: Position) -> float:
    """What a perfect player to move scores against a perfect opponent."""
    if not position.moves:
        return position.score
    return max(1.0 - game_value(position.after(move)) for move in position.moves)


def best_moves(position: Position) -> tuple[str, ...]:
    """The moves that keep the value of the position, in order of its legal moves; none if the game is over."""
    value = game_value(position)
    return tuple(move for move in position.moves if 1.0 - game_value(position.after(move)) == value)
