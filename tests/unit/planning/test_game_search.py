"""Tree search in games for two finds what minimax knows."""

import numpy as np
import pytest

from strop.environments import Nim, TicTacToe
from strop.planning import best_moves, random_playout, search_game


def rng(seed=0):
    return np.random.default_rng(seed)


def test_it_wins_at_once_and_sees_a_threat():
    assert search_game(TicTacToe.Position("oo.xx...."), rng(), 100) == "c2"
    assert search_game(TicTacToe.Position("oo.x....."), rng(), 400) == "c1"


def test_with_many_simulations_it_plays_perfectly():
    starts = [(1, 2, 4), (3, 3, 1), (2, 2, 3), (0, 4, 1)]
    for heaps in starts:
        position = Nim.Position(heaps)
        assert search_game(position, rng(), 1500) in best_moves(position)


def test_a_random_game_counts_for_the_player_to_move():
    # one match: the player to move takes it and wins; none: lost
    assert random_playout(Nim.Position((1,)), rng()) == 1.0
    assert random_playout(Nim.Position((0,)), rng()) == 0.0
    scores = [random_playout(Nim.Position((2,)), rng(seed)) for seed in range(200)]
    assert np.mean(scores) == pytest.approx(0.5, abs=0.11)  # takes both, or one and loses


def test_the_dice_decide_alone():
    position = TicTacToe.Position()
    assert [search_game(position, rng(3), 60)] * 2 == [search_game(position, rng(3), 60) for _ in range(2)]
