"""Gymnasium's FrozenLake as text: cross the ice from S to G, past the holes H, where a step may slip aside."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from strop.environments.gymnasium import happened, toy_text
from strop.types import End, Step, Task

if TYPE_CHECKING:
    import numpy as np

YOU, START, ICE, HOLE = "@SFH"
LAKE_MOVES = ("left", "down", "right", "up")
"""In Gymnasium's order."""
ILLEGAL = "illegal"


class FrozenLake:
    """`task.data`: `map`, its rows of S, F, H and G; `turns` until it is truncated; `slippery`, true if it is left out.

    G pays 1; G and H end the episode. On slippery ice a step goes the way that was meant in one case of three, else to
    either side. Each prompt is the map alone, with @ for the player. A text that is no move is answered by "illegal"
    and costs a turn.
    """

    def __init__(self, task: Task, rng: np.random.Generator) -> None:
        self._rows, self._rng = tuple(str(row) for row in task.data["map"]), rng
        self._turns_left = int(task.data["turns"])
        self._lake = lake(self._rows, bool(task.data.get("slippery", True)))
        self._state = "".join(self._rows).index(START)

    def start(self) -> Step:
        """The map."""
        return self._shown()

    def step(self, text: str) -> Step:
        """The map after a step, which may have slipped."""
        self._turns_left -= 1
        end = None if self._turns_left > 0 else End.TRUNCATED
        if text.strip() not in LAKE_MOVES:
            return self._shown(0.0, end, f"{ILLEGAL}\n")
        outcomes = self._lake.P[self._state][LAKE_MOVES.index(text.strip())]
        _, self._state, reward, is_over = happened(outcomes, self._rng)
        return self._shown(float(reward), End.TERMINATED if is_over else end)

    def close(self) -> None:
        """Nothing to free."""

    def _shown(self, reward: float = 0.0, end: End | None = None, before: str = "") -> Step:
        marks = [list(row.replace(START, ICE)) for row in self._rows]
        row, column = divmod(self._state, len(marks[0]))
        marks[row][column] = YOU
        text = before + "\n".join(" ".join(line) for line in marks)
        return Step(text, reward, end, replaces=True, choices=LAKE_MOVES)


@cache
def lake(rows: tuple[str, ...], is_slippery: bool = True) -> Any:
    """Gymnasium's environment of this map, of which only the transitions `P` are read (as `planning.mdp_of` does)."""
    return toy_text("FrozenLakeEnv", desc=list(rows), is_slippery=is_slippery)


def examples() -> list[tuple[Task, list[str], float]]:
    """(task, the texts of a perfect player, their summed turn rewards)."""
    task = Task(id="1", prompt="", data={"map": ["SF", "HG"], "turns": 9, "slippery": False})
    return [(task, ["right", "down"], 1.0)]
