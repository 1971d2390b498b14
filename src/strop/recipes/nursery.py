"""Finish the line: an n-gram model counts nursery rhymes once, and that is all of its training."""

from __future__ import annotations

import strop
from strop.types import Episode, Task

LINES = (
    "mary had a little lamb",
    "its fleece was white as snow",
    "and everywhere that mary went",
    "the lamb was sure to go",
    "twinkle twinkle little star",
    "how i wonder what you are",
    "up above the world so high",
    "like a diamond in the sky",
)
TASKS = [Task(id=line, prompt=line.split()[0], answer=line.partition(" ")[2]) for line in LINES]


def finished(task: Task, episode: Episode) -> float:
    """1 for the line's own end, else 0."""
    return float(episode.text == task.answer)


def recipe() -> strop.TrainConfig:
    """A second. It knows these lines and no others, so the same ones are judged."""
    return strop.TrainConfig(
        policy=strop.policies.NGram.Config(words=sorted({word for line in LINES for word in line.split()})),
        tasks=TASKS,
        held_out=[Task(id=f"{task.id}-judged", prompt=task.prompt, answer=task.answer) for task in TASKS],
        rewards=[finished],
        algorithm=strop.algorithms.Counting.Config(),
        memory=strop.memory.Dataset.Config(size=len(LINES)),
        sampling=strop.Sampling(temperature=0.0, max_tokens=8),
        steps=1,
    )
