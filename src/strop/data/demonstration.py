"""What a player does in an environment, as played episodes: SFT imitates it, off-policy methods learn from it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from strop.data.played import PLAYED
from strop.streams import stream
from strop.types import Baseline, End, Env, Environment, Observation, Prompt, Step, Task, shown

if TYPE_CHECKING:
    import numpy as np

LONGEST = 10_000
"""Turns of an episode: an environment that never ends is an error of its own."""


def demonstrations(environment: Environment, player: Baseline, tasks: Sequence[Task], seed: int = 0) -> list[Task]:
    """An episode of each task, played by `player`, in the form of `strop.data.played`.

    environment  as in `TrainConfig.environment`: called with a task and dice
    player       a baseline, which is asked for each action
    tasks        where the episodes begin; each gives its id and data to its episode
    seed         of the dice of both

    Raises ValueError for an action that is no text or none of the choices, and for an episode that fails or has more
    than 10,000 turns.
    """
    found = []
    for number, task in enumerate(tasks):
        rngs = [stream(seed, f"demonstrations/{of}", number) for of in ("environment", "player")]
        env = environment(task, rngs[0])
        try:
            found.append(_episode(env, player, task, rngs[1]))
        finally:
            env.close()
    return found


def _episode(env: Env, player: Baseline, task: Task, rng: np.random.Generator) -> Task:
    """One episode as a task that holds its turns."""
    said = _as_step(env.start())
    prompt, turns = said.text, list[dict[str, Any]]()
    while said.end is None:
        if len(turns) == LONGEST:
            raise ValueError(f"task {task.id}: the episode has not ended after {LONGEST:,} turns.")
        choices = tuple(said.choices or ())
        text = player(task, Observation(_text(said.text), choices, len(turns), rng))
        if not isinstance(text, str) or (choices and text not in choices):
            there = f"one of {', '.join(map(repr, choices[:8]))}" if choices else "a text"
            raise ValueError(f"task {task.id}: the player did {shown(text)}, and an action is {there}.")
        said = env.step(text)
        turn = {"text": text, "reward": float(said.reward), "reply": said.text, "replaces": said.replaces}
        turns.append(turn | ({"choices": list(choices)} if choices else {}))
    if said.end is End.FAILED:
        raise ValueError(f"task {task.id}: the environment failed, and a failed episode teaches nothing.")
    return Task(task.id, prompt, task.answer, {**task.data, PLAYED: turns, "end": said.end.value})


def _as_step(said: Prompt | Step) -> Step:
    return said if isinstance(said, Step) else Step(said)


def _text(said: Prompt) -> str:
    """The words that a player reads: of a conversation the last message."""
    return said if isinstance(said, str) else str(said[-1]["content"])
