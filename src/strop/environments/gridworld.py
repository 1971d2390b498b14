"""Plan a path: walk over a map, drawn as text, from @ to G around the walls."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from strop.types import End, Step, Task

if TYPE_CHECKING:
    import numpy as np

YOU, WALL, GOAL, FREE = "@#G."
COST = 0.04
"""Of every step, as in Russell & Norvig's grid world."""
MOVES = {"up": (-1, 0), "down": (1, 0), "left": (0, -1), "right": (0, 1)}
ILLEGAL = "illegal"


class GridWorld:
    """`task.data["map"]`: the rows of the map, `task.data["turns"]`: the steps until it is truncated.

    The goal pays 1 and ends the episode; every step costs 0.04. Each prompt is the map alone, and the choices are the
    moves onto free squares. A move against a wall, where choices are off, is answered by "illegal" and costs a step.
    """

    def __init__(self, task: Task, rng: np.random.Generator) -> None:
        self._rows = [str(row) for row in task.data["map"]]
        self._turns_left = int(task.data["turns"])
        self._at = place_of(self._rows, YOU)
        self._goal = place_of(self._rows, GOAL)

    def start(self) -> Step:
        """The map, and the moves that are free."""
        return self._shown()

    def step(self, text: str) -> Step:
        """One square further."""
        self._turns_left -= 1
        end = None if self._turns_left > 0 else End.TRUNCATED
        if text.strip() not in moves_from(self._rows, self._at):
            return self._shown(-COST, end, before=f"{ILLEGAL}\n")
        self._at = moved(self._at, text.strip())
        if self._at == self._goal:
            return Step("", reward=1.0 - COST, end=End.TERMINATED)
        return self._shown(-COST, end)

    def close(self) -> None:
        """Nothing to free."""

    def _shown(self, reward: float = 0.0, end: End | None = None, before: str = "") -> Step:
        text = before + drawn(self._rows, self._at)
        return Step(text, reward, end, replaces=True, choices=moves_from(self._rows, self._at))


def place_of(rows: Sequence[str], mark: str) -> tuple[int, int]:
    """(row, column) of the one square with this mark. Raises ValueError if there is not one."""
    found = [(row, column) for row, line in enumerate(rows) for column, one in enumerate(line) if one == mark]
    if len(found) != 1 or len({len(line) for line in rows}) > 1:
        raise ValueError(f"{rows!r} is no map: its rows are equally long, with one {YOU} and one {GOAL}.")
    return found[0]


def moved(place: tuple[int, int], move: str) -> tuple[int, int]:
    """The square next to this one."""
    return place[0] + MOVES[move][0], place[1] + MOVES[move][1]


def moves_from(rows: Sequence[str], place: tuple[int, int]) -> list[str]:
    """The moves onto squares of the map that are no wall. Raises ValueError where there is none."""
    found = [move for move in MOVES if _is_open(rows, moved(place, move))]
    if not found:
        raise ValueError(f"{rows!r}: there are walls all around {place}.")
    return found


def drawn(rows: Sequence[str], at: tuple[int, int]) -> str:
    """The map with the player at a square."""
    marks = [list(line.replace(YOU, FREE)) for line in rows]
    marks[at[0]][at[1]] = YOU
    return "\n".join(" ".join(line) for line in marks)


def _is_open(rows: Sequence[str], place: tuple[int, int]) -> bool:
    row, column = place
    return 0 <= row < len(rows) and 0 <= column < len(rows[0]) and rows[row][column] != WALL


def grid_transitions(rows: Sequence[str]) -> dict[int, dict[int, list[tuple[float, int, float, bool]]]]:
    """The map as lists of transitions, P[state][action], in the form of Gymnasium: what `planning.mdp_of` reads.

    State row * width + column; action the number of the move. A move that is not legal stays and costs a step.
    """
    width, goal = len(rows[0]), place_of(rows, GOAL)
    found: dict[int, dict[int, list[tuple[float, int, float, bool]]]] = {}
    for state in range(len(rows) * width):
        place = divmod(state, width)
        found[state] = {}
        for action, move in enumerate(MOVES):
            following = moved(place, move) if _is_open(rows, moved(place, move)) else place
            is_over = following == goal
            found[state][action] = [(1.0, following[0] * width + following[1], is_over - COST, is_over)]
    return found


def examples() -> list[tuple[Task, list[str], float]]:
    """(task, the texts of a perfect player, their summed turn rewards)."""
    task = Task(id="1", prompt="", data={"map": ["@#G", "..."], "turns": 9})
    return [(task, ["down", "right", "right", "up"], 1.0 - 4 * COST)]
