"""Guarded skills: tasks with an answer that the text must hold, on which a new version may not fall behind."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path

from strop.assistant.answering import greedy_answers
from strop.data.tasks import from_file
from strop.data.words import nouns
from strop.runs.files import write_text
from strop.serving.actor import Actor
from strop.streams import stream
from strop.types import Message, Task

FOLDER = "skills"
MOST_TOKENS = 32
"""Of an answer by which a skill is judged."""
NUM_SUMS = 400
"""Where one answer in fifty changes at random, so many items nearly always show that a skill did not fall by .05."""


def shipped_skills() -> dict[str, list[Task]]:
    """Sums of two small numbers, and repeating a word: what any assistant should still do."""
    sums = [(a, b) for a, b in product(range(2, 40), repeat=2) if a <= b]
    order = stream(0, "assistant/sums").permutation(len(sums))[:NUM_SUMS]
    return {
        "sums": [Task(f"{a}+{b}", f"What is {a} + {b}?", str(a + b)) for a, b in (sums[i] for i in order)],
        "words": [Task(word, f"Repeat this word: {word}", word) for word in nouns()],
    }


def holds(text: str, answer: str) -> float:
    """1 if the answer stands in the text on its own, whatever the case; else 0."""
    before = r"(?<![a-z0-9])" if answer[:1].isascii() else ""
    after = r"(?![a-z0-9])" if answer[-1:].isascii() else ""
    return float(re.search(before + re.escape(answer) + after, text, re.IGNORECASE) is not None)


def scores(tasks: Sequence[Task], texts: Sequence[str]) -> list[float]:
    """The score of each text."""
    return [holds(text, task.answer) for task, text in zip(tasks, texts, strict=True)]


def examined(actor: Actor, tasks: Sequence[Task]) -> list[float]:
    """The scores of a version's greedy answers."""
    return scores(tasks, greedy_answers(actor, [task.prompt for task in tasks]))


def write_skills(folder: Path, skills: Mapping[str, Sequence[Task]]) -> None:
    """Write each skill as skills/NAME.jsonl. Raises ValueError for a task without an answer."""
    (folder / FOLDER).mkdir(parents=True, exist_ok=True)
    for name, tasks in skills.items():
        for task in tasks:
            if not task.answer:
                raise ValueError(f"skill {name}, task {task.id}: it needs the answer that the text must hold.")
        rows = [{"id": task.id, "prompt": task.prompt, "answer": task.answer} for task in tasks]
        write_text(folder / FOLDER / f"{name}.jsonl", _lines(rows))


def read_skills(folder: Path) -> dict[str, list[Task]]:
    """Every skill of an assistant's folder by its name: the user may add files."""
    return {file.stem: from_file(file) for file in sorted((folder / FOLDER).glob("*.jsonl"))}


def write_questions(file: Path, questions: Sequence[str | list[Message]]) -> None:
    """Write the fixed questions."""
    write_text(file, _lines([{"prompt": question} for question in questions]))


def _lines(rows: Sequence[Mapping[str, object]]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
