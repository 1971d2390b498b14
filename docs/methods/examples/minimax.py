from strop.environments import Nim, TicTacToe
from strop.planning import best_moves, game_value

for heaps in ((1, 2, 3), (1, 2, 4), (2, 2, 1)):
    position = Nim.Position(heaps)
    print(heaps, "is won" if game_value(position) else "is lost", "for whoever moves;", *best_moves(position)[:1])
print("tic-tac-toe:", game_value(TicTacToe.Position()))
