"""The task's answer, with which a text is compared."""

from __future__ import annotations

from strop.types import Task


def answer_of(task: Task, reward: str) -> str:
    """The task's answer. Raises ValueError if there is none."""
    if not task.answer.strip():
        raise ValueError(f"task {task.id!r} has no answer: {reward} compares a text with it.")
    return task.answer
