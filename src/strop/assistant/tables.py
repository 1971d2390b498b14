"""The tables of `feedback.sqlite` and their migrations. `PRAGMA user_version` counts those that a file has seen.

A released migration is never edited; a change of the tables is one more function at the end of `MIGRATIONS`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

from strop.runs.database import readable
from strop.runs.files import writing

SECONDS = 30.0
"""How long a process waits for another one to finish writing."""

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


MIGRATIONS: tuple[Callable[[sqlite3.Connection], None], ...] = (m001_initial,)


def connected(path: Path) -> sqlite3.Connection:
    """A connection to the file, which is made if there is none; several processes may open it at once."""
    with writing("the feedback", path), readable(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(path, timeout=SECONDS, isolation_level=None, check_same_thread=False)
        try:
            connection.row_factory = sqlite3.Row
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA foreign_keys = ON")
            _migrate(connection, path)
        except BaseException:
            connection.close()
            raise
    return connection


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Bring the file to the newest schema, each migration in a transaction in which no other process migrates."""
    while (seen := _version(connection)) < len(MIGRATIONS):
        connection.execute("BEGIN IMMEDIATE")
        try:
            if _version(connection) == seen:  # else another process was quicker
                MIGRATIONS[seen](connection)
                connection.execute(f"PRAGMA user_version = {seen + 1}")
            connection.execute("COMMIT")
        except BaseException:
            connection.execute("ROLLBACK")
            raise
    if seen > len(MIGRATIONS):
        raise ValueError(
            f"{path} has schema {seen}, and this strop knows {len(MIGRATIONS)}: a newer strop wrote it. Upgrade strop."
        )


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])
