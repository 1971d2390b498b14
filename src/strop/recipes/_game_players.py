"""How each game is played perfectly, and how greedily: by what the player sees."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from strop.environments.blackjack import CARD_MOVES, hand_state
from strop.environments.frozen_lake import LAKE_MOVES
from strop.environments.go import Go
from strop.environments.gridworld import GOAL, MOVES, YOU, moved
from strop.environments.nim import Nim, nim_sum
from strop.environments.taxi import INSIDE, TAXI_MOVES, taxi_state, town
from strop.environments.tictactoe import TicTacToe
from strop.planning.minimax import best_moves
from strop.recipes._game_models import blackjack_solved, lake_solved, map_solved, taxi_solved
from strop.types import Observation, Task

DEALER_STICKS = 17


def one_of(moves: Sequence[str], seen: Observation) -> str:
    """One of these moves, each equally likely."""
    return moves[int(seen.rng.integers(len(moves)))]


def least(cost: Callable[[str], float], moves: Sequence[str], seen: Observation) -> str:
    """One of the moves that cost least."""
    costs = [cost(move) for move in moves]
    return one_of([move for move, one in zip(moves, costs, strict=True) if one == min(costs)], seen)


def perfect_nim(task: Task, seen: Observation) -> str:
    """To an exclusive or of 0, where that can be done."""
    heaps = Nim.Position.read(seen.text)
    return least(lambda move: nim_sum(heaps.after(move)) != 0, heaps.moves, seen)


def greedy_nim(task: Task, seen: Observation) -> str:
    """As many matches as can be taken."""
    return least(lambda move: -int(move[1:]), seen.choices, seen)


def perfect_tictactoe(task: Task, seen: Observation) -> str:
    """One of the best moves by minimax."""
    return one_of(best_moves(TicTacToe.Position.read(seen.text)), seen)


def greedy_tictactoe(task: Task, seen: Observation) -> str:
    """A move that wins at once, if there is one."""
    board = TicTacToe.Position.read(seen.text)

    def is_no_win(move: str) -> bool:
        after = board.after(move)
        return bool(after.moves) or after.score > 0.0

    return least(is_no_win, board.moves, seen)


def greedy_go(task: Task, seen: Observation) -> str:
    """A move with the largest lead in area just after it."""
    board = Go.Position.read(seen.text)
    return least(lambda move: board.after(move).lead, board.moves, seen)


def perfect_gridworld(task: Task, seen: Observation) -> str:
    """The way that is shortest, by backward induction."""
    solved = map_solved(tuple(task.data["map"]), int(task.data["turns"]))
    return tuple(MOVES)[int(solved.action_HS[int(task.data["turns"]) - seen.turn, _place(seen)])]


def greedy_gridworld(task: Task, seen: Observation) -> str:
    """A free move that comes nearest to the goal as the crow walks, walls or not."""
    return least(lambda move: _distance(seen, move), seen.choices, seen)


def perfect_guess_number(task: Task, seen: Observation) -> str:
    """The middle of what is left."""
    numbers = sorted(seen.choices, key=int)
    return numbers[len(numbers) // 2]


def greedy_guess_number(task: Task, seen: Observation) -> str:
    """The smallest number that it may be: it wins soonest, if it wins."""
    return min(seen.choices, key=int)


def perfect_frozen_lake(task: Task, seen: Observation) -> str:
    """The best action for the turns that are left."""
    turns = int(task.data["turns"])
    return LAKE_MOVES[lake_solved(tuple(task.data["map"]), turns).action_HS[turns - seen.turn, _place(seen)]]


def greedy_frozen_lake(task: Task, seen: Observation) -> str:
    """Towards the goal, as if there were no holes and the ice were not slippery."""
    return least(lambda move: _distance(seen, move), LAKE_MOVES, seen)


def perfect_taxi(task: Task, seen: Observation) -> str:
    """The best action for the turns that are left."""
    turns = int(task.data["turns"])
    return TAXI_MOVES[taxi_solved(turns).action_HS[turns - seen.turn, taxi_state(seen.text)]]


def greedy_taxi(task: Task, seen: Observation) -> str:
    """Straight to the passenger and then to the destination, as far as there are no walls."""
    row, column, passenger, destination = town().decode(taxi_state(seen.text))
    aim = town().locs[destination if INSIDE in seen.text else passenger]
    if (row, column) == aim:
        return "dropoff" if INSIDE in seen.text else "pickup"
    steps = {"south": (1, 0), "north": (-1, 0), "east": (0, 1), "west": (0, -1)}

    def distance(move: str) -> int:
        return abs(int(row) + steps[move][0] - int(aim[0])) + abs(int(column) + steps[move][1] - int(aim[1]))

    return least(distance, [move for move in seen.choices if move in steps], seen)


def perfect_blackjack(task: Task, seen: Observation) -> str:
    """The best action against this open card."""
    return CARD_MOVES[blackjack_solved().action_HS[-1, hand_state(seen.text)]]


def greedy_blackjack(task: Task, seen: Observation) -> str:
    """What the dealer does: a card below 17."""
    return "hit" if int(seen.text.split()[1]) < DEALER_STICKS else "stick"


def _place(seen: Observation) -> int:
    """The number of the player's square, row by row."""
    return seen.text.split().index(YOU)


def _distance(seen: Observation, move: str) -> int:
    """Rows and columns between the goal and where a move leads."""
    marks, width = seen.text.split(), len(seen.text.split("\n")[0].split())
    row, column = moved(divmod(marks.index(YOU), width), move)
    goal = divmod(marks.index(GOAL), width)
    return abs(row - goal[0]) + abs(column - goal[1])
