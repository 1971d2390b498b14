"""Tasks from a file, and a train/test split by problem."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from strop.streams import stream
from strop.types import Message, Prompt, Task

ROLES = ("system", "user", "assistant")


def from_jsonl(path: str | Path, check: Callable[[Task], object] | None = None) -> list[Task]:
    """One task per line of a JSON Lines file.

        {"prompt": "What is 3 + 5?", "answer": "8", "difficulty": 1}

    `prompt` is a text, or a list of messages that may also be called `messages`. `id` defaults to the line's number,
    `answer` to nothing. Every other field becomes `Task.data`. Empty lines are skipped.
    A ValueError raised by `check` is reported with its line.
    """
    path = Path(path)
    tasks: dict[str, Task] = {}
    first_line: dict[str, int] = {}
    for number, line in enumerate(path.read_bytes().removeprefix(b"\xef\xbb\xbf").split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            task = _task(_record(line), default_id=str(number))
            if check is not None:
                check(task)
            if task.id in tasks:
                raise ValueError(f"the id {task.id!r} is already used in line {first_line[task.id]}")
        except ValueError as error:
            raise ValueError(f"{path}, line {number}: {error}.") from None
        tasks[task.id] = task
        first_line[task.id] = number
    if not tasks:
        raise ValueError(f"{path} holds no task: write one JSON object a line, with at least a prompt.")
    return list(tasks.values())


def train_test_split(
    tasks: Sequence[Task], fraction: float, seed: int = 0, problem: Callable[[Task], str] | None = None
) -> tuple[list[Task], list[Task]]:
    """`(training, held out)`, where `fraction` of the problems is held out, with all their tasks.

    Tasks have the same problem if `problem(task)` is equal: by default `task.data["problem"]` (3 + 5 and 5 + 3 may
    both say "3+5" there), else the prompt's text without regard to case and spacing. Order is kept.
    """
    key = problem or same_problem
    problems = sorted({key(task) for task in tasks})
    num_held_out = round(fraction * len(problems))
    if not 0 < num_held_out < len(problems):
        raise ValueError(
            f"fraction={fraction} holds out {num_held_out} of {len(problems)} different problems: "
            "both parts need at least one."
        )
    order = stream(seed, "tasks/split").permutation(len(problems))
    held_out = {problems[i] for i in order[:num_held_out]}
    return [task for task in tasks if key(task) not in held_out], [task for task in tasks if key(task) in held_out]


def same_problem(task: Task) -> str:
    """The default key of a task's problem: tasks with equal keys are never split."""
    if "problem" in task.data:
        return str(task.data["problem"])
    text = task.prompt if isinstance(task.prompt, str) else " ".join(message["content"] for message in task.prompt)
    return " ".join(text.casefold().split())


def _record(line: bytes) -> dict[str, Any]:
    """The JSON object of a line."""
    try:
        record = json.loads(line.decode("utf-8"), parse_constant=_refuse)
    except UnicodeDecodeError:
        raise ValueError("this is not UTF-8 text") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"this is not JSON ({error.msg}, column {error.colno})") from None
    if not isinstance(record, dict):
        raise ValueError(f'a line is a JSON object such as {{"prompt": "..."}}, not {type(record).__name__}')
    return record


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


def _task(record: dict[str, Any], default_id: str) -> Task:
    data = dict(record)
    if ("prompt" in data) == ("messages" in data):
        fields = ", ".join(record) or "none"
        raise ValueError(f'a task has either a "prompt" or "messages" (found the fields: {fields})')
    prompt = _prompt(data.pop("prompt") if "prompt" in data else data.pop("messages"))
    return Task(_text(data.pop("id", default_id), "id"), prompt, _text(data.pop("answer", ""), "answer"), data)


def _text(value: object, field: str) -> str:
    """An id or answer as text; a number is converted."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError(f'"{field}" is a text or a number, not {json.dumps(value)}')
    return str(value)


def _prompt(value: object) -> Prompt:
    if isinstance(value, str) and value.strip():
        return value
    if not isinstance(value, list) or not value:
        raise ValueError("the prompt is a text, or a list of messages, and not empty")
    messages = [_message(item) for item in value]
    if messages[-1]["role"] == "assistant":
        raise ValueError("the last message is the assistant's: there is nothing left to answer")
    return messages


def _message(item: object) -> Message:
    if not isinstance(item, dict) or item.get("role") not in ROLES or not isinstance(item.get("content"), str):
        raise ValueError(f'a message is {{"role": {" | ".join(ROLES)}, "content": text}}, not {json.dumps(item)}')
    return Message(role=item["role"], content=item["content"])
