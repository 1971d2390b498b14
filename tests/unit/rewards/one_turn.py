"""One-turn episodes for the tests of rewards."""

from __future__ import annotations

from strop.types import Completion, End, Episode, Task, Turn


def wrote(task: Task, text: str, finish: str = "stop", id: str = "e") -> Episode:
    tokens = tuple(range(len(text.split())))
    return Episode(id, task, 0, (Turn((1,), Completion(tokens, None, finish), text),), (), End.TERMINATED)
