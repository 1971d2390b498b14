"""Feedback as JSON Lines in the formats of TRL, out and in: other trainers read it, and other front ends give theirs.

kto    {"prompt": [...], "completion": [{"role": "assistant", ...}], "label": true}
dpo    {"prompt": [...], "chosen": [{...}], "rejected": [{...}]}
sft    {"messages": [..., {"role": "assistant", ...}]}
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

from strop.assistant.feedback import FeedbackStore
from strop.assistant.lessons import lessons_of
from strop.assistant.records import Answered, Comparison, Feedback, Kind, Value
from strop.data.preferences import FIELDS, WORDS, answers
from strop.data.rows import of_json_lines
from strop.data.tasks import from_rows
from strop.runs.files import replace_text, writing
from strop.types import Message, Task, messages_of, shown

Form: TypeAlias = Literal["kto", "dpo", "sft"]
FORMS: tuple[Form, ...] = get_args(Form)


def export_feedback(store: FeedbackStore, path: Path | str, form: Form) -> int:
    """Write what the store's feedback teaches, one line each; returns how many. The file is replaced as a whole.

    Where it stands is noted: when somebody is forgotten, it is deleted.
    """
    if form not in FORMS:
        raise ValueError(f"form={shown(form)}: it is one of {', '.join(FORMS)}.")
    with store.reading():
        lessons = lessons_of(store, store.feedback())
    found = {"kto": lessons.thumbs, "dpo": lessons.pairs, "sft": lessons.demonstrations}[form]
    lines = [json.dumps(_row(lesson.task), ensure_ascii=False) + "\n" for lesson in found]
    with writing("feedback", Path(path)):
        replace_text(Path(path), "".join(lines))
    store.erasing.exported(Path(path))
    return len(lines)


def import_feedback(store: FeedbackStore, path: Path | str, rater: str) -> int:
    """Read a .jsonl in one of the formats, also a mixed one, as feedback of `rater`; returns the number of lines.

    Prompts may be texts, too. Where an answer comes from and what stood first is not known. Raises ValueError that
    names every broken line; then nothing is kept.
    """
    rows = (_readable(row.fields) for row in of_json_lines(Path(path)).rows)
    tasks = from_rows(rows, check=_check, tell=lambda text: None)
    written = [_feedback(task, rater) for task in tasks]
    store.write([answer for some, _ in written for answer in some], [one for _, one in written])
    return len(written)


def _row(task: Task) -> dict[str, Any]:
    """A lesson's task as a row of TRL."""
    prompt = messages_of(task.prompt)
    if task.answer:
        return {"messages": [*prompt, _said(task.answer)]}
    return {"prompt": prompt} | {
        name: [_said(value)] if isinstance(value, str) else value for name, value in task.data.items()
    }


def _readable(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Messages that end with the assistant's, as a prompt and an answer."""
    messages = fields.get("messages")
    last = messages[-1] if isinstance(messages, list) and messages else None
    if not isinstance(last, dict) or last.get("role") != "assistant":
        return dict(fields)
    rest = {name: value for name, value in fields.items() if name != "messages"}
    assert isinstance(messages, list)
    return {**rest, "prompt": messages[:-1], "answer": last.get("content")}


def _check(task: Task) -> None:
    """Raise ValueError for a task that is neither a preference nor a demonstration."""
    if not task.answer:
        answers(task)
    elif found := [name for name in FIELDS if name in task.data]:
        raise ValueError(f"it is a demonstration and has {', '.join(found)}: a line is one of them")


def _feedback(task: Task, rater: str) -> tuple[list[Answered], Feedback]:
    """The answers of a task, and what is said of them."""
    if task.answer:
        (answer,) = _answered(task, rater, [""])
        return [answer], _said_of(answer, "demonstration", task.answer, rater)
    given = {name: text for name, (text, _) in answers(task).items()}
    found = _answered(task, rater, list(given.values()))
    if len(found) == 1:
        label = task.data["label"]
        is_good = WORDS[label.lower()] if isinstance(label, str) else bool(label)
        return found, _said_of(found[0], "thumb", is_good, rater)
    chosen, rejected = found
    comparison = Comparison(a=chosen.inference, b=rejected.inference, choice="A", shown_first=None)
    return found, _said_of(None, "comparison", comparison, rater)


def _answered(task: Task, rater: str, texts: list[str]) -> list[Answered]:
    conversation, now = f"import-{uuid.uuid4().hex}", time.time()
    return [
        Answered(
            inference=f"{conversation}-{number}",
            conversation=conversation,
            version=None,
            messages=messages_of(task.prompt),
            text=text,
            when=now,
            rater=rater,
        )
        for number, text in enumerate(texts)
    ]


def _said_of(answer: Answered | None, kind: Kind, value: Value, rater: str) -> Feedback:
    return Feedback(
        id=uuid.uuid4().hex,
        kind=kind,
        inference=answer.inference if answer else None,
        conversation=None,
        value=value,
        rater=rater,
        when=time.time(),
    )


def _said(text: str) -> Message:
    return Message(role="assistant", content=text)
