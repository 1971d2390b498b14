"""What chance does."""

from __future__ import annotations

from strop.types import Observation, Task


def at_random(task: Task, seen: Observation) -> str:
    """One of the choices, each equally likely.

    Raises ValueError for a turn without choices.
    """
    if not seen.choices:
        raise ValueError(
            f"the baseline at_random draws one of a turn's choices, and task {task.id} has none: give "
            "sampling.choices, or Steps that have choices."
        )
    return seen.choices[int(seen.rng.integers(len(seen.choices)))]
