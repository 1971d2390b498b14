"""Games for two against a random player, a perfect one or old selves: as a record that a run can keep."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from strop.types import Env, Player, Task, check_fields

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, slots=True, kw_only=True)
class Against:
    """A game against opponents, called as environment(task, rng): a record, so that a run's config can hold it.

    game       the game's environment, which takes an opponent: `strop.environments.Nim`
    opponents  of which each game has one, drawn when it begins
    judge      the opponent in tasks whose data say `judged`
    """

    game: Callable[..., Env]
    opponents: Sequence[Player]
    judge: Player

    def __post_init__(self) -> None:
        check_fields(self)
        if not self.opponents:
            raise ValueError("opponents=[]: a game for two needs at least one.")

    def __call__(self, task: Task, rng: np.random.Generator) -> Env:
        """One game."""
        if task.data.get("judged"):
            return self.game(task, rng, self.judge)
        return self.game(task, rng, self.opponents[int(rng.integers(len(self.opponents)))])
