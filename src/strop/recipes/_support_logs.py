"""Conversations that an agent had, as data."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from strop.environments.support import Support
from strop.streams import stream
from strop.types import Baseline, Observation, Task


def logged(task: Task, agent: Baseline, seed: int) -> Task:
    """The task with the conversation that an agent had, as `strop.data.played` reads it. Thumbs are not in it."""
    rng, turns = stream(seed, f"support/log/{task.id}"), list[dict[str, Any]]()
    env, said, end = Support(task, rng), _last_text(task), None
    while end is None:
        text = agent(task, Observation(said, (), len(turns), rng))
        step = env.step(text)
        said, end = str(step.text), step.end
        turns.append({"text": text, "reply": said})
    return replace(task, data={"played": turns, "end": str(end)})


def _last_text(task: Task) -> str:
    return task.prompt if isinstance(task.prompt, str) else task.prompt[-1]["content"]
