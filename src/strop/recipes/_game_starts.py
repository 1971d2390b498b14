"""Where the games of a run begin, and where those begin on which it is judged: the policy meets none of these before.

A start that is held out is held out with all its mirror images, and no game passes through the start of another one: in
Nim and tic-tac-toe all starts are equally far from the empty board, and only a first guess has all guesses left. What
is held out of Taxi is whole journeys. `data["best"]` is the exact optimum of a start.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable, Sequence
from functools import cache
from itertools import product
from typing import Any, TypeVar

import numpy as np

from strop.environments.frozen_lake import HOLE, ICE, START
from strop.environments.go import POINTS
from strop.environments.gridworld import FREE, GOAL, MOVES, WALL, YOU, moved
from strop.environments.nim import Nim, nim_sum
from strop.environments.taxi import first_states, town
from strop.environments.tictactoe import TicTacToe
from strop.planning.minimax import game_value
from strop.planning.value_iteration import FiniteHorizon
from strop.recipes._game_models import blackjack_value, lake_solved, map_solved, taxi_solved
from strop.streams import stream
from strop.types import Task

T = TypeVar("T")
Map = tuple[str, ...]
"""The rows of a map."""
Starts = tuple[list[Task], list[Task]]
"""To train on, and held out."""
HELD_OUT = 0.25
"""Of all kinds of starts."""
HEAPS, HIGHEST_HEAP, MATCHES = 3, 7, (11, 12)
"""Two numbers of matches: from 12 the policy finds 10 or fewer at its second move, so it never comes to 11."""
SIDE, WALLS, STEPS, MAPS = 5, 0.25, 20, 6000
NUMBERS, FEWEST, GUESSES = 31, 16, 5
"""Five guesses are enough for 31 numbers, and four are not for 16."""
LAKE_SIDE, LAKE_ICE, LAKE_TURNS, LAKES = 4, 0.8, 50, 1500
TAXI_TURNS = 50
JUDGED = 100
"""Held-out maps, lakes and numbers."""
HANDS = 4000
GO_JUDGED = 48
"""Held-out boards of Go: the search that judges takes a second or two for a game."""
COPIES = 4
"""Games from each held-out start against an opponent who has dice."""


def nim(seed: int) -> Starts:
    """Heaps from which the first player can win; with fewer matches than those on which it is judged, all of them."""
    heaps = [one for one in product(range(HIGHEST_HEAP + 1), repeat=HEAPS) if nim_sum(Nim.Position(one))]
    few = [one for one in heaps if sum(one) < min(MATCHES)]
    many = [one for one in heaps if sum(one) in MATCHES]
    train, held_out = apart(many, lambda one: tuple(sorted(one)), seed)
    return _for_two([*few, *train], held_out, lambda one: {"heaps": list(one), "best": 1.0})


def tictactoe(seed: int) -> Starts:
    """Boards with one or two marks; the policy never comes from one to two, since both players move in between."""
    empty = TicTacToe.Position()
    one = [empty.after(move) for move in empty.moves]
    two = [board.after(move) for board in one for move in board.moves]
    boards = list(dict.fromkeys(board.squares for board in [*one, *two]))
    return _for_two(*apart(boards, mirrored, seed), _board)


def _board(squares: str) -> dict[str, Any]:
    return {"squares": squares, "best": game_value(TicTacToe.Position(squares))}


def mirrored(squares: str) -> str:
    """The smallest of a square board's eight mirror images: equal for boards that are the same game."""
    return min("".join([squares[at] for at in image]) for image in _images(math.isqrt(len(squares))))


@cache
def _images(side: int) -> list[list[int]]:
    """The eight mirror images of a square board, as orders of its squares."""
    grid = np.arange(side**2).reshape(side, side)
    return [np.rot90(one, turns).ravel().tolist() for one in (grid, grid.T) for turns in range(4)]


def go(seed: int) -> Starts:
    """Boards with one stone of either colour, or black's alone."""
    one = [(move,) for move in POINTS]
    two = [(first, second) for first in POINTS for second in POINTS if first != second]
    train, held_out = apart([*one, *two], _stones, seed)
    judged = [held_out[i] for i in stream(seed, "go").permutation(len(held_out))[:GO_JUDGED]]
    return _for_two(train, judged, lambda moves: {"moves": list(moves)}, copies=1)


def _stones(moves: tuple[str, ...]) -> str:
    """The board after one or two moves, as the smallest of its mirror images."""
    marks = dict(zip(moves, "xo", strict=False))
    return mirrored("".join(marks.get(point, ".") for point in POINTS))


def gridworld(seed: int) -> Starts:
    """Random maps of 5 by 5 with a way to the goal."""
    rng = stream(seed, "maps")

    def drawn() -> Map:
        marks = np.where(rng.random(SIDE**2) < WALLS, WALL, FREE)
        marks[rng.choice(SIDE**2, 2, replace=False)] = [YOU, GOAL]
        return _rows(marks, SIDE)

    return _of_maps(drawn, MAPS, STEPS, lambda rows: map_solved(rows, STEPS))


def guess_number(seed: int) -> Starts:
    """Ranges of at least 16 of the numbers to 31."""
    ranges = [(low, high) for low in range(1, NUMBERS + 1) for high in range(low + FEWEST - 1, NUMBERS + 1)]
    train, held_out = apart(ranges, lambda one: one, seed)
    rng = stream(seed, "numbers")
    judged = [held_out[int(rng.integers(len(held_out)))] for _ in range(JUDGED)]
    asked = [(one, number) for one in train for number in range(one[0], one[1] + 1)]
    sought = [((low, high), int(rng.integers(low, high + 1))) for low, high in judged]
    return _guesses("train", asked), _guesses("held-out", sought)


def _guesses(kind: str, sought: Iterable[tuple[tuple[int, int], int]]) -> list[Task]:
    return [
        Task(f"{kind}-{i}", "", str(number), {"low": low, "high": high, "turns": GUESSES, "best": 1.0})
        for i, ((low, high), number) in enumerate(sought)
    ]


def frozen_lake(seed: int) -> Starts:
    """Random lakes of 4 by 4 with a way to the goal."""
    rng = stream(seed, "lakes")

    def drawn() -> Map:
        marks = np.where(rng.random(LAKE_SIDE**2) < LAKE_ICE, ICE, HOLE)
        marks[[0, -1]] = [START, GOAL]
        return _rows(marks, LAKE_SIDE)

    return _of_maps(drawn, LAKES, LAKE_TURNS, lambda rows: lake_solved(rows, LAKE_TURNS))


def taxi(seed: int) -> Starts:
    """All first states; held out are all of some journeys, from where a passenger waits to where they want to go."""
    train, held_out = apart(first_states(), lambda state: tuple(town().decode(state))[2:], seed)
    value_S = taxi_solved(TAXI_TURNS).value_HS[-1]

    def tasks(kind: str, states: Sequence[int]) -> list[Task]:
        data = [{"state": state, "turns": TAXI_TURNS, "best": float(value_S[state])} for state in states]
        return [Task(f"{kind}-{one['state']}", "", data=one) for one in data]

    return tasks("train", train), tasks("held-out", held_out)


def blackjack(seed: int) -> Starts:
    """Hands are dealt by the dice of each game, so that no start can be held out: other dice are."""
    best = {"best": blackjack_value()}
    return [Task("train", "", data=best)], [Task(f"held-out-{i}", "", data=best) for i in range(HANDS)]


def apart(items: Sequence[T], kind: Callable[[T], Hashable], seed: int) -> tuple[list[T], list[T]]:
    """Items to train on, and held-out ones: all items of a kind are on one side."""
    kinds = list(dict.fromkeys(map(kind, items)))
    drawn = stream(seed, "held out").permutation(len(kinds))[: max(1, round(HELD_OUT * len(kinds)))]
    hidden = {kinds[i] for i in drawn}
    return [one for one in items if kind(one) not in hidden], [one for one in items if kind(one) in hidden]


def _for_two(
    train: Sequence[T], held_out: Sequence[T], data: Callable[[T], dict[str, Any]], copies: int = COPIES
) -> Starts:
    learnt = [Task(f"train-{i}", "", data=data(one)) for i, one in enumerate(train)]
    judged = [(i, copy, one) for i, one in enumerate(held_out) for copy in range(copies)]
    return learnt, [Task(f"held-out-{i}-{copy}", "", data=data(one) | {"judged": True}) for i, copy, one in judged]


def _rows(marks: np.ndarray, width: int) -> Map:
    return tuple("".join(row) for row in marks.reshape(-1, width))


def _of_maps(drawn: Callable[[], Map], num: int, turns: int, solved: Callable[[Map], FiniteHorizon]) -> Starts:
    """So many different maps to train on, and others held out with the optimum of each."""
    maps = dict[Map, None]()
    while len(maps) < num + JUDGED:
        if has_way(rows := drawn()):
            maps[rows] = None
    train, held_out = list(maps)[JUDGED:], list(maps)[:JUDGED]
    data = [{"map": list(rows), "turns": turns, "best": _best(rows, solved(rows))} for rows in held_out]
    return (
        [Task(f"train-{i}", "", data={"map": list(rows), "turns": turns}) for i, rows in enumerate(train)],
        [Task(f"held-out-{i}", "", data=one) for i, one in enumerate(data)],
    )


def has_way(rows: Map) -> bool:
    """Whether the goal can be reached from the start, around walls and holes."""
    marks = {(row, column): mark for row, line in enumerate(rows) for column, mark in enumerate(line)}
    reached = [next(place for place, mark in marks.items() if mark in (YOU, START))]
    for place in reached:  # grows while it is read
        around = [moved(place, move) for move in MOVES]
        reached += [one for one in around if marks.get(one, WALL) not in (WALL, HOLE) and one not in reached]
    return any(marks[place] == GOAL for place in reached)


def _best(rows: Map, solved: FiniteHorizon) -> float:
    """The value of the start with all turns left."""
    marks = "".join(rows)
    return float(solved.value_HS[-1, max(marks.find(YOU), marks.find(START))])
