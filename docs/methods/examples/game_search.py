import numpy as np

from strop.environments import Nim
from strop.planning import best_moves, search_game

position = Nim.Position((1, 2, 4))
print("wins:", *best_moves(position))
for num_simulations in (10, 100, 1000):
    found = [search_game(position, np.random.default_rng(seed), num_simulations) for seed in range(20)]
    print(f"{num_simulations} simulations:", sum(move in best_moves(position) for move in found), "of 20 find it")
