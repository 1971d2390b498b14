"""Games for two: minimax and tree search against Nim, whose winner is known without playing (Bouton 1901)."""

from __future__ import annotations

from functools import reduce
from itertools import product
from operator import xor

import numpy as np

from strop.environments import Nim, TicTacToe
from strop.planning import best_moves, game_value, search_game
from strop.verify.checks import Gap

HEAPS = list(product(range(4), repeat=3))


def winning_moves(heaps: tuple[int, ...]) -> set[str]:
    """The moves of Nim after which the exclusive or of the heaps is 0; none if it is 0 already."""
    nim_sum = reduce(xor, heaps)
    return {f"{'abc'[i]}{heap - (heap ^ nim_sum)}" for i, heap in enumerate(heaps) if nim_sum and heap ^ nim_sum < heap}


def check_minimax() -> Gap:
    """Minimax: 1 in Nim exactly where the exclusive or of the heaps is not 0, for all 64 triples of heaps up to 3."""
    gaps = [abs(game_value(Nim.Position(heaps)) - float(reduce(xor, heaps) != 0)) for heaps in HEAPS]
    return Gap(max(gaps), 0.0)


def check_minimax_moves() -> Gap:
    """Minimax: the moves of Nim that leave an exclusive or of 0, and no others (share of triples that differ)."""
    won = [heaps for heaps in HEAPS if reduce(xor, heaps)]
    wrong = [heaps for heaps in won if set(best_moves(Nim.Position(heaps))) != winning_moves(heaps)]
    return Gap(len(wrong) / len(won), 0.0)


def check_minimax_draw() -> Gap:
    """Minimax: a draw in tic-tac-toe."""
    return Gap(abs(game_value(TicTacToe.Position()) - 0.5), 0.0)


def check_game_search() -> Gap:
    """Game search: a winning move of Nim after 800 simulations, for all won triples of heaps up to 2 (failures)."""
    won = [heaps for heaps in product(range(3), repeat=3) if reduce(xor, heaps)]
    found = [search_game(Nim.Position(heaps), np.random.default_rng(0), 800) for heaps in won]
    missed = [heaps for heaps, move in zip(won, found, strict=True) if move not in winning_moves(heaps)]
    return Gap(len(missed) / len(won), 0.0)
