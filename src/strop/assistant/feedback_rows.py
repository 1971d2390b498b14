"""Answers and feedback as rows of `feedback.sqlite`."""

from __future__ import annotations

import dataclasses
import json
import sqlite3
from typing import Any

import numpy as np

from strop.assistant.pair_store import key_of
from strop.assistant.records import Answered, Comparison, Feedback
from strop.types import storable


def answer_row(answer: Answered) -> tuple[object, ...]:
    """The columns of an answer but its number."""
    return (
        answer.inference,
        answer.conversation,
        answer.version,
        key_of(answer.messages),
        storable(answer.text),
        np.asarray(answer.tokens, "<i8").tobytes(),
        np.asarray(answer.logprobs, "<f8").tobytes(),
        None if answer.seed is None else str(answer.seed),
        answer.when,
        answer.rater,
    )


def answered(row: sqlite3.Row) -> Answered:
    """The answer of a row."""
    return Answered(
        inference=row["inference"],
        conversation=row["conversation"],
        version=row["version"],
        messages=json.loads(row["messages"]),
        text=row["text"],
        tokens=np.frombuffer(row["tokens"], "<i8").tolist(),
        logprobs=np.frombuffer(row["logprobs"], "<f8").tolist(),
        seed=None if row["seed"] is None else int(row["seed"]),
        when=row["time"],
        rater=row["rater"],
    )


def feedback_row(one: Feedback) -> tuple[object, ...]:
    """The columns of feedback but its number."""
    value: Any = one.value
    first, other = one.inference, None
    if isinstance(value, Comparison):
        first, other, value = value.a, value.b, dataclasses.asdict(value)
    text = storable(json.dumps(value, ensure_ascii=False))
    return one.id, one.kind, first, other, one.conversation, text, one.rater, one.when


def said(row: sqlite3.Row) -> Feedback:
    """The feedback of a row."""
    value, is_comparison = json.loads(row["value"]), row["kind"] == "comparison"
    return Feedback(
        id=row["id"],
        kind=row["kind"],
        inference=None if is_comparison else row["inference"],
        conversation=row["conversation"],
        value=Comparison(**value) if is_comparison else value,
        rater=row["rater"],
        when=row["time"],
    )
