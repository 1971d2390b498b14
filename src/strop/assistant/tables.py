"""The tables of `feedback.sqlite` and their migrations."""

from __future__ import annotations

import sqlite3

from strop.assistant.database import Migration
from strop.assistant.under_way import TABLE

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


def m002_pairs(connection: sqlite3.Connection) -> None:
    """Pairs of answers to compare, and to whom they are shown: a pair is held for that person until `until`, and what
    they passed over is not shown to them again."""
    connection.execute(
        "CREATE TABLE pairs (number INTEGER PRIMARY KEY, a TEXT NOT NULL REFERENCES answers (inference), "
        "b TEXT NOT NULL REFERENCES answers (inference), seldom REAL NOT NULL, preferred REAL, time REAL NOT NULL)"
    )
    connection.execute(
        "CREATE TABLE shown (pair INTEGER NOT NULL REFERENCES pairs (number), rater TEXT NOT NULL, "
        "until REAL NOT NULL, is_passed INTEGER NOT NULL, PRIMARY KEY (pair, rater))"
    )


def m003_privacy(connection: sqlite3.Connection) -> None:
    """Answers that nobody agreed to have kept, counted and no more; where exports were written; the ids of deleted
    feedback, until what was made of it is deleted too: also versions that learnt from it, if `is_retiring`; and whose
    withdrawn feedback versions have learnt from, so that these can be retired when the person is forgotten."""
    connection.execute("CREATE TABLE unkept (version INTEGER PRIMARY KEY, answers INTEGER NOT NULL)")
    connection.execute("CREATE TABLE exports (path TEXT PRIMARY KEY, sha256 TEXT NOT NULL)")
    connection.execute("CREATE INDEX answers_by_rater ON answers (rater)")
    connection.execute(
        "CREATE TABLE withdrawn (feedback TEXT NOT NULL, name TEXT NOT NULL, PRIMARY KEY (feedback, name))"
    )
    connection.execute("CREATE TABLE erased (feedback TEXT PRIMARY KEY, is_retiring INTEGER NOT NULL)")


def m004_prepared(connection: sqlite3.Connection) -> None:
    """Which answers the server prepared to what people asked, so that they go with it; and how often people were
    forgotten. Of earlier answers that have no rater only those are known to be prepared whose conversation has the
    name that the server gives; answers to fixed questions are among them, and go with the last who asked the same."""
    connection.execute("ALTER TABLE answers ADD COLUMN is_prepared INTEGER NOT NULL DEFAULT 0")
    connection.execute(
        "UPDATE answers SET is_prepared = 1 WHERE rater = '' AND conversation GLOB ?",
        ("pair-" + "[0-9a-f]" * 24,),
    )
    connection.execute("CREATE INDEX answers_by_messages ON answers (messages)")
    connection.execute(TABLE)


def m005_leftovers(connection: sqlite3.Connection) -> None:
    """Files in which something may be left of who is forgotten, their sizes, and when they were written; and whether
    they could be read."""
    connection.execute(
        "CREATE TABLE leftovers (path TEXT PRIMARY KEY, size INTEGER NOT NULL, time INTEGER NOT NULL, "
        "is_read INTEGER NOT NULL)"
    )


MIGRATIONS: tuple[Migration, ...] = (m001_initial, m002_pairs, m003_privacy, m004_prepared, m005_leftovers)
