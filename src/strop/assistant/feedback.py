"""`feedback.sqlite`: the answers of an assistant, and what people say of them.

Personal data is masked in every text before it is written, and people are kept as keyed hashes of their names.
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
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from strop.assistant.database import connected, transaction
from strop.assistant.erasing import Erasing
from strop.assistant.feedback_rows import answer_row, answered, feedback_row, said
from strop.assistant.leftovers import Leftovers
from strop.assistant.masking import MakeMasker, Masking
from strop.assistant.pair_store import PairStore, key_of
from strop.assistant.people import People
from strop.assistant.records import Answered, Comparison, Feedback, Kind, Value
from strop.assistant.tables import MIGRATIONS
from strop.assistant.under_way import require_not_overtaken
from strop.privacy import Masker
from strop.types import Message, shown

Record = TypeVar("Record", Answered, Feedback)
FILE, WHAT = "feedback.sqlite", "the feedback"


class FeedbackStore:
    """One open `feedback.sqlite`. Close it, or use it in a `with`."""

    def __init__(self, path: Path | str, masker: MakeMasker = Masker) -> None:
        """Open the file, or make it. Raises ValueError for one that is no feedback of strop's.

        masker  makes what masks the texts of a conversation; where it cannot, the store can be read and not written
        """
        self.path = Path(path)
        self._connection = connected(WHAT, self.path, MIGRATIONS)
        self._alone = threading.RLock()
        self.people = People(self.path.parent)
        self.masking = Masking(masker, self._texts)
        self.pairs = PairStore(self.path, self._connection, self._alone, self.people)
        self.erasing = Erasing(self.path, self._connection, self._alone)
        self.leftovers = Leftovers(self.path, self._connection, self._alone, self.people)

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
        asked: int | None = None,
    ) -> Feedback:
        """Keep what a person says, masked, now or at `when`; returned is what is kept.

        Raises ValueError for a value that the kind does not take, KeyError for an inference or conversation that is
        not known, and as `write` does.
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
        [kept] = self.write([], [feedback], asked)
        return kept

    def write(
        self, answers: Sequence[Answered], feedback: Sequence[Feedback], asked: int | None = None
    ) -> list[Feedback]:
        """Keep answers, and feedback that may speak of them, masked: all of it or nothing. Returns the feedback as it
        is kept.

        asked  `erasing.forgettings` when this was on its way; None where it is of now. Raises Overtaken if somebody was
               forgotten since, ModuleNotFoundError where nothing can be masked
        """
        self.masking.check()
        of = {one.inference: one.conversation for one in answers}
        answers = [self._unnamed(self.masking.answered(one)) for one in answers]
        feedback = [self._unnamed(self.masking.said(one, self._conversation_of(one, of))) for one in feedback]
        self._write(answers, feedback, asked)
        return feedback

    def _write(
        self,
        answers: Sequence[Answered],
        feedback: Sequence[Feedback],
        asked: int | None = None,
        is_prepared: bool = False,
    ) -> bool:
        """Whether they were written; `is_prepared`: only to messages that are known, with which they go again."""
        known = "SELECT 1 FROM answers WHERE messages = ?"
        with self._transaction() as connection:
            if is_prepared and not all(self._one(known, key_of(one.messages)) for one in answers):
                return False
            require_not_overtaken(connection, asked)
            for answer in answers:
                if self._one("SELECT 1 FROM answers WHERE inference = ?", answer.inference):
                    raise ValueError(f"inference {answer.inference!r} is known already: an id names one answer.")
                connection.execute(
                    "INSERT INTO answers (inference, conversation, version, messages, text, tokens, logprobs, seed, "
                    "time, rater, is_prepared) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    (*answer_row(answer), is_prepared),
                )
            for one in feedback:
                self._require_known(one)
                connection.execute(
                    "INSERT INTO feedback (id, kind, inference, other, conversation, value, rater, time) "
                    "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                    feedback_row(one),
                )
        return True

    def _unnamed(self, record: Record) -> Record:
        """The record of a person whose name is hashed."""
        return dataclasses.replace(record, rater=self.people.hashed(record.rater))

    def _conversation_of(self, one: Feedback, of: Mapping[str, str]) -> str:
        """Where a comment or a demonstration belongs; comparisons have no texts."""
        if one.inference is None:
            return one.conversation or ""
        return of[one.inference] if one.inference in of else self.answer(one.inference).conversation

    def _texts(self, conversation: str) -> list[str]:
        """All that is kept of a conversation."""
        rows = self._all("SELECT messages, text FROM answers WHERE conversation = ? ORDER BY number", conversation)
        said = self._all(
            "SELECT value FROM feedback WHERE kind IN ('comment', 'demonstration') AND (conversation = ? OR inference "
            "IN (SELECT inference FROM answers WHERE conversation = ?)) ORDER BY number",
            *(conversation, conversation),
        )
        asked = [message["content"] for row in rows for message in json.loads(row["messages"])]
        return [*dict.fromkeys(asked), *(row["text"] for row in rows), *(json.loads(row["value"]) for row in said)]

    def prepared(self, answers: Sequence[Answered], is_fixed: bool) -> bool:
        """Keep answers that nobody asked for; they go with the last who asked the same. Not, and False, where people
        withdrew these messages meanwhile; fixed questions are nobody's."""
        answers = [self.masking.answered(one) for one in answers]
        return self._write(answers, [], is_prepared=not is_fixed)

    def unkept(self, version: int, answers: int) -> None:
        """Count answers that are not kept."""
        with self._transaction() as connection:
            connection.execute(
                "INSERT INTO unkept VALUES (?, ?) ON CONFLICT (version) DO UPDATE SET answers = answers + ?",
                (version, answers, answers),
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

    @contextmanager
    def reading(self) -> Iterator[None]:
        """All that is read inside is of one moment: what somebody withdraws meanwhile is still there, whole.

        Others may write; threads that share this store wait. A reading inside of another is part of it.
        """
        with self._alone:
            if self._connection.in_transaction:
                yield
                return
            self._connection.execute("BEGIN")
            try:
                yield
            finally:
                self._connection.execute("COMMIT")

    def answer(self, inference: str) -> Answered:
        """The answer of this inference. Raises KeyError if there is none."""
        row = self._one("SELECT * FROM answers WHERE inference = ?", inference)
        if row is None:
            raise KeyError(
                f"there is no inference {shown(inference)}: only answers of conversations that may be kept are kept."
            )
        return answered(row)

    def conversation(self, conversation: str) -> list[Answered]:
        """The answers of this conversation in order. Raises KeyError if there is none."""
        rows = self._all("SELECT * FROM answers WHERE conversation = ? ORDER BY number", conversation)
        if not rows:
            raise KeyError(
                f"there is no conversation {shown(conversation)}: only conversations that may be kept are kept."
            )
        return list(map(answered, rows))

    def answers(self, version: int | None = None) -> list[Answered]:
        """The answers of a version, or of all, in order."""
        where = "" if version is None else " WHERE version = ?"
        return list(map(answered, self._all(f"SELECT * FROM answers{where} ORDER BY number", *_given(version))))

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
        return list(map(said, rows))

    def scores(self, since: float) -> list[Feedback]:
        """Thumbs and ratings since a time, in seconds since 1970, in order."""
        query = "SELECT * FROM feedback WHERE kind IN ('thumb', 'rating') AND time >= ? ORDER BY number"
        return list(map(said, self._all(query, since)))

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

    def not_kept(self) -> int:
        """How many answers were given that nobody agreed to have kept."""
        row = self._one("SELECT coalesce(sum(answers), 0) n FROM unkept")
        assert row is not None
        return int(row["n"])

    def _one(self, query: str, *values: object) -> sqlite3.Row | None:
        with self._alone:
            row: sqlite3.Row | None = self._connection.execute(query, values).fetchone()
        return row

    def _all(self, query: str, *values: object) -> list[sqlite3.Row]:
        with self._alone:
            return self._connection.execute(query, values).fetchall()


def _given(value: object) -> tuple[object, ...]:
    return () if value is None else (value,)
