"""Preference data of a task: pairs of answers, single answers with a label, or labelled steps.

    {"prompt": "Name a fruit.", "chosen": "An apple.", "rejected": "A chair."}
    {"prompt": "Name a fruit.", "completion": "A pear.", "label": true}
    {"prompt": "What is 2 + 3 - 1?", "steps": ["2 + 3 is 5.", " 5 - 1 is 3."], "labels": [true, false]}

Answers are texts, or lists with one message of the assistant. Every line is a task whose `data` holds the answers; its
episodes are one group, and their part "preference" is 1 for the better answer and 0 for the other. Steps form one
answer, whose part "steps" is 1 at the last token of a good step and -1 at that of a bad one; of the last step that is
the token that ends the text, where `strop.TrainedScore` reads the score of a text.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from strop.choices import Choosing
from strop.data.written import written
from strop.types import Codec, Episode, Part, Task

FIELDS = ("chosen", "rejected", "completion", "label")
WORDS = {"true": True, "false": False}
"""A cell of a CSV is a text."""


def preferences(
    tasks: Sequence[Task], codec: Codec, context: int | None = None, choosing: Choosing | None = None
) -> list[Episode]:
    """The episodes of every task: both answers of a pair, or the labelled one.

    Where `choosing` gives a task choices, its answers are of them.
    """
    episodes = []
    for group, task in enumerate(tasks):
        try:
            check(task)
            named = {} if "steps" in task.data else answers(task)
        except ValueError as error:
            raise ValueError(f"task {task.id}: {error}.") from None
        if not named:
            episodes.append(_with_steps(task, codec, group, context))
        for name, (text, better) in named.items():
            id = f"data-{group:06d}-{name}"
            episodes.append(written(task, text, codec, group, id, context, choosing, preference=float(better)))
    return episodes


def is_pair(task: Task) -> bool:
    """Whether a task holds a chosen and a rejected answer."""
    return "chosen" in task.data and "rejected" in task.data


def check_pair(task: Task) -> None:
    """Raise ValueError for a task that does not hold a chosen and a rejected answer."""
    if not is_pair(task):
        raise ValueError('a pair has the fields "chosen" and "rejected"')
    answers(task)


def check(task: Task) -> None:
    """Raise ValueError for a task that holds no preference, or more than one."""
    if "steps" not in task.data:
        answers(task)
        return
    steps, labels = task.data["steps"], task.data.get("labels")
    if not isinstance(steps, list) or not steps or not all(isinstance(step, str) and step for step in steps):
        raise ValueError('"steps" is a list of texts, and none is empty')
    if not isinstance(labels, list) or len(labels) != len(steps) or not all(isinstance(x, bool) for x in labels):
        raise ValueError('"labels" is a list of true and false, one for each step')


def _with_steps(task: Task, codec: Codec, group: int, context: int | None) -> Episode:
    """One answer made of all steps. Each is encoded separately, so that its last token is known."""
    steps = [codec.encode(step) for step in task.data["steps"]]
    if not all(steps):
        raise ValueError(f"task {task.id}: a step has no token, so nothing can carry its label.")
    episode = written(task, "".join(task.data["steps"]), codec, group, f"data-{group:06d}-steps", context, steps=steps)
    marks = [0.0] * episode.num_actions
    last = -1
    for step, label in zip(steps, task.data["labels"], strict=True):
        last += len(step)
        marks[last] = 1.0 if label else -1.0
    marks[last], marks[-1] = 0.0, marks[last]
    return replace(episode, parts={"steps": Part(1.0, sum(marks), tokens=tuple(marks))})


def answers(task: Task) -> dict[str, tuple[str, bool]]:
    """Each answer of a task by its field: its text, and whether it is a good one."""
    found = tuple(name for name in FIELDS if name in task.data)
    if found == ("chosen", "rejected"):
        pair = {name: (_text(task.data[name], name), name == "chosen") for name in found}
        if pair["chosen"][0] == pair["rejected"][0]:
            raise ValueError("the chosen and the rejected answer are the same text")
        return pair
    if found == ("completion", "label"):
        label = task.data["label"]
        label = WORDS.get(label.lower(), label) if isinstance(label, str) else label
        if not isinstance(label, bool):
            raise ValueError(f'"label" is true or false, not {json.dumps(label)}')
        return {"completion": (_text(task.data["completion"], "completion"), label)}
    raise ValueError(
        'a preference has the fields "chosen" and "rejected", or "completion" and "label" '
        f"(found {', '.join(found) or 'none of them'})"
    )


def _text(answer: Any, field: str) -> str:
    """The text of an answer, given as a text or as a list of one message."""
    if isinstance(answer, list) and len(answer) == 1 and isinstance(answer[0], dict):
        message = answer[0]
        answer = message.get("content") if message.get("role") == "assistant" else None
    if not isinstance(answer, str):
        raise ValueError(f'"{field}" is a text, or a list of one message of the assistant')
    return answer
