"""`feedback.sqlite`: the answers of an assistant, and what people say of them.

WAL with synchronous=FULL: what was written survives a kill or a power cut. Any number of processes and threads may read
and write; one writes at a time, and the others wait.
"""

from __future__ import annotations

import dataclasses
import json
import sqlite3
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from strop.assistant.database import connected, transaction
from strop.assistant.pair_store import PairStore, key_of
from strop.assistant.records import Answered, Comparison, Feedback, Kind, Value
from strop.assistant.tables import MIGRATIONS
from strop.types import Message, shown, storable

FILE, WHAT = "feedback.sqlite", "the feedback"


class FeedbackStore:
    """One open `feedback.sqlite`. Close it, or use it in a `with`."""

    def __init__(self, path: Path | str) -> None:
        """Open the file, or make it. Raises ValueError for one that is no feedback of strop's."""
        self.path = Path(path)
        self._connection = connected(WHAT, self.path, MIGRATIONS)
        self._alone = threading.RLock()
        self.pairs = PairStore(self.path, self._connection, self._alone)

    def close(self) -> None:
        """Close the file; the last one to close folds the WAL into it."""
        self._connection.close()

    def __enter__(self) -> FeedbackStore:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # ------------------------------------------------------------ write

    def answered(self, answer: Answered) -> None:
        """Keep an answer. Raises ValueError if its inference is known already."""
        self.write([answer], [])

    def add(
        self,
        kind: Kind,
        value: Value,
        *,
        rater: str,
        inference: str | None = None,
        conversation: str | None = None,
        when: float | None = None,
    ) -> Feedback:
        """Keep what a person says, now or at `when`.

        Raises ValueError for a value that the kind does not take, KeyError for an inference or conversation that is
        not known.
        """
        feedback = Feedback(
            id=uuid.uuid4().hex,
            kind=kind,
            inference=inference,
            conversation=conversation,
            value=value,
            rater=rater,
            when=time.time() if when is None else when,
        )
        self.write([], [feedback])
        return feedback

    def write(self, answers: Sequence[Answered], feedback: Sequence[Feedback]) -> None:
        """Keep answers, and feedback that may speak of them: all of it or nothing."""
        with self._transaction() as connection:
            for answer in answers:
                if self._one("SELECT 1 FROM answers WHERE inference = ?", answer.inference):
                    raise ValueError(f"inference {answer.inference!r} is known already: an id names one answer.")
                connection.execute(
                    "INSERT INTO answers (inference, conversation, version, messages, text, tokens, logprobs, seed, "
                    "time, rater) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    _answer_row(answer),
                )
            for one in feedback:
                self._require_known(one)
                connection.execute(
                    "INSERT INTO feedback (id, kind, inference, other, conversation, value, rater, time) "
                    "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                    _feedback_row(one),
                )

    def _require_known(self, feedback: Feedback) -> None:
        value = feedback.value
        inferences = (value.a, value.b) if isinstance(value, Comparison) else (feedback.inference,)
        for inference in filter(None, inferences):
            self.answer(inference)
        if feedback.conversation is not None:
            self.conversation(feedback.conversation)
        if isinstance(value, Comparison) and self.answer(value.a).messages != self.answer(value.b).messages:
            raise ValueError(f"{value.a} and {value.b} answer different messages: a comparison is of two to the same.")

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._alone, transaction(WHAT, self.path, self._connection) as connection:
            yield connection

    # ------------------------------------------------------------ read

    def answer(self, inference: str) -> Answered:
        """The answer of this inference. Raises KeyError if there is none."""
        row = self._one("SELECT * FROM answers WHERE inference = ?", inference)
        if row is None:
            raise KeyError(f"there is no inference {shown(inference)}: every answer comes with the id of its own.")
        return _answer(row)

    def conversation(self, conversation: str) -> list[Answered]:
        """The answers of this conversation in order. Raises KeyError if there is none."""
        rows = self._all("SELECT * FROM answers WHERE conversation = ? ORDER BY number", conversation)
        if not rows:
            raise KeyError(f"there is no conversation {shown(conversation)}: none of its answers is kept.")
        return list(map(_answer, rows))

    def answers(self, version: int | None = None) -> list[Answered]:
        """The answers of a version, or of all, in order."""
        where = "" if version is None else " WHERE version = ?"
        return list(map(_answer, self._all(f"SELECT * FROM answers{where} ORDER BY number", *_given(version))))

    def asked(self, most: int) -> list[list[Message]]:
        """What people asked last, newest first: the messages of the answers that versions gave to them."""
        rows = self._all(
            "SELECT messages FROM answers WHERE version IS NOT NULL AND rater != '' ORDER BY number DESC LIMIT ?", most
        )
        return [json.loads(row["messages"]) for row in rows]

    def feedback(self, kind: Kind | None = None, version: int | None = None) -> list[Feedback]:
        """What was said in order: of one kind, or of answers of one version."""
        wanted = ["1"] if kind is None else ["kind = ?"]
        if version is not None:
            wanted.append(
                "EXISTS (SELECT 1 FROM answers WHERE answers.version = ? AND (answers.inference = feedback.inference "
                "OR answers.inference = feedback.other OR answers.conversation = feedback.conversation))"
            )
        where = " AND ".join(wanted)
        rows = self._all(f"SELECT * FROM feedback WHERE {where} ORDER BY number", *_given(kind), *_given(version))
        return list(map(_feedback, rows))

    def scores(self, since: float) -> list[Feedback]:
        """Thumbs and ratings since a time, in seconds since 1970, in order."""
        query = "SELECT * FROM feedback WHERE kind IN ('thumb', 'rating') AND time >= ? ORDER BY number"
        return list(map(_feedback, self._all(query, since)))

    def last(self) -> int:
        """The number of the last piece of feedback; 0 if there is none. It grows with each."""
        row = self._one("SELECT coalesce(max(number), 0) n FROM feedback")
        assert row is not None
        return int(row["n"])

    def counts(self) -> dict[str, int]:
        """How much there is of each kind of feedback, and of answers."""
        kinds = Counter(
            {row["kind"]: row["n"] for row in self._all("SELECT kind, count(*) n FROM feedback GROUP BY 1")}
        )
        row = self._one("SELECT count(*) n FROM answers")
        assert row is not None
        return {"answers": int(row["n"]), **dict(sorted(kinds.items()))}

    def _one(self, query: str, *values: object) -> sqlite3.Row | None:
        with self._alone:
            row: sqlite3.Row | None = self._connection.execute(query, values).fetchone()
        return row

    def _all(self, query: str, *values: object) -> list[sqlite3.Row]:
        with self._alone:
            return self._connection.execute(query, values).fetchall()


def _given(value: object) -> tuple[object, ...]:
    return () if value is None else (value,)


def _answer_row(answer: Answered) -> tuple[object, ...]:
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


def _answer(row: sqlite3.Row) -> Answered:
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


def _feedback_row(one: Feedback) -> tuple[object, ...]:
    value: Any = one.value
    first, other = one.inference, None
    if isinstance(value, Comparison):
        first, other, value = value.a, value.b, dataclasses.asdict(value)
    text = storable(json.dumps(value, ensure_ascii=False))
    return one.id, one.kind, first, other, one.conversation, text, one.rater, one.when


def _feedback(row: sqlite3.Row) -> Feedback:
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
