"""The tables of `feedback.sqlite` and their migrations."""

from __future__ import annotations

import sqlite3

from strop.assistant.database import Migration

_INITIAL = """
CREATE TABLE answers (
    number INTEGER PRIMARY KEY,
    inference TEXT NOT NULL UNIQUE,
    conversation TEXT NOT NULL,
    version INTEGER,
    messages TEXT NOT NULL,
    text TEXT NOT NULL,
    tokens BLOB NOT NULL,
    logprobs BLOB NOT NULL,
    seed TEXT,
    time REAL NOT NULL,
    rater TEXT NOT NULL
);

CREATE INDEX answers_by_conversation ON answers (conversation);

CREATE INDEX answers_by_version ON answers (version);

CREATE TABLE feedback (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL CHECK (kind IN ('thumb', 'rating', 'comment', 'demonstration', 'comparison')),
    inference TEXT REFERENCES answers (inference),
    other TEXT REFERENCES answers (inference),
    conversation TEXT,
    value TEXT NOT NULL,
    rater TEXT NOT NULL,
    time REAL NOT NULL
);

CREATE INDEX feedback_by_inference ON feedback (inference);

CREATE INDEX feedback_by_other ON feedback (other);

CREATE INDEX feedback_by_conversation ON feedback (conversation)
"""


def m001_initial(connection: sqlite3.Connection) -> None:
    """Answers, and what people say of them. `other` is the second answer of a comparison."""
    for statement in _INITIAL.split(";"):
        connection.execute(statement)


MIGRATIONS: tuple[Migration, ...] = (m001_initial,)
