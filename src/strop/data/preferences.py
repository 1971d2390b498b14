"""Preferences of people: pairs of answers, or single answers with a label, from a JSON Lines file.

    {"prompt": "Name a fruit.", "chosen": "An apple.", "rejected": "A chair."}
    {"prompt": "Name a fruit.", "completion": "A pear.", "label": true}

Answers are texts, or lists that hold one message of the assistant. Every line is a task whose `data` holds the answers;
its episodes are one group, and their part "preference" is 1 for the better answer and 0 for the other.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from strop.data.tasks import from_jsonl
from strop.data.written import written
from strop.types import Codec, Episode, Task

FIELDS = ("chosen", "rejected", "completion", "label")


def preferences_from_jsonl(path: str | Path) -> list[Task]:
    """One task a line, each with a pair or a labelled answer; the line of a mistake is named."""
    return from_jsonl(path, check=answers)


def preferences(tasks: Sequence[Task], codec: Codec, context: int | None = None) -> list[Episode]:
    """The finished episodes of every task: both answers of a pair, or the labelled one."""
    episodes = []
    for group, task in enumerate(tasks):
        try:
            named = answers(task)
        except ValueError as error:
            raise ValueError(f"task {task.id}: {error}.") from None
        for name, (text, better) in named.items():
            id = f"data-{group:06d}-{name}"
            episodes.append(written(task, text, codec, group, id, context, preference=float(better)))
    return episodes


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
        if not isinstance(label, bool):
            raise ValueError(f'"label" is true or false, not {json.dumps(label)}')
        return {"completion": (_text(task.data["completion"], "completion"), label)}
    raise ValueError(
        'a preference has the fields "chosen" and "rejected", or "completion" and "label" '
        f"(found {', '.join(found) or 'none of them'})"
    )


def _text(answer: Any, field: str) -> str:
    """A text, or the content of the one message that a list holds."""
    if isinstance(answer, list) and len(answer) == 1 and isinstance(answer[0], dict):
        message = answer[0]
        answer = message.get("content") if message.get("role") == "assistant" else None
    if not isinstance(answer, str):
        raise ValueError(f'"{field}" is a text, or a list of one message of the assistant')
    return answer
