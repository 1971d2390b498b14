"""The tables of `run.sqlite` and their migrations. `PRAGMA user_version` counts the migrations a file has seen.

A released migration is never edited; a change of the tables is one more function at the end of `MIGRATIONS`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable


def m001_initial(connection: sqlite3.Connection) -> None:
    """Steps, metrics, episodes with turns and parts, opinions and events.

    Numbers that must come back exactly stand in columns without a type: a REAL column would turn -0.0 into 0.0.
    """
    for statement in _INITIAL.split(";"):
        connection.execute(statement)


_INITIAL = """
CREATE TABLE steps (step INTEGER PRIMARY KEY, time REAL NOT NULL);

CREATE TABLE evaluations (step INTEGER PRIMARY KEY, time REAL NOT NULL);

CREATE TABLE metrics (
    step INTEGER NOT NULL, name TEXT NOT NULL, value REAL, PRIMARY KEY (step, name)
) WITHOUT ROWID;

CREATE TABLE episodes (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL,
    step INTEGER NOT NULL,
    purpose TEXT NOT NULL CHECK (purpose IN ('train', 'evaluate')),
    "group" INTEGER NOT NULL,
    task_id TEXT NOT NULL,
    task TEXT NOT NULL,
    final BLOB NOT NULL,
    "end" TEXT NOT NULL,
    error TEXT NOT NULL,
    version INTEGER NOT NULL,
    seed TEXT NOT NULL,
    source TEXT NOT NULL,
    return_ REAL,
    reason TEXT,
    kept INTEGER NOT NULL DEFAULT 1,
    UNIQUE (purpose, step, id)
);

CREATE INDEX episodes_by_id ON episodes (id);

CREATE TABLE turns (
    episode INTEGER NOT NULL REFERENCES episodes (number) ON DELETE CASCADE,
    turn INTEGER NOT NULL,
    prompt BLOB,
    completion BLOB,
    logprobs BLOB,
    finish TEXT NOT NULL,
    text TEXT NOT NULL,
    reward NOT NULL,
    data TEXT NOT NULL,
    PRIMARY KEY (episode, turn)
);

CREATE TABLE parts (
    episode INTEGER NOT NULL REFERENCES episodes (number) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    name TEXT NOT NULL,
    weight NOT NULL,
    total,
    reason TEXT,
    turns BLOB,
    tokens BLOB,
    PRIMARY KEY (episode, position)
);

CREATE TABLE opinions (
    step INTEGER NOT NULL,
    episode TEXT NOT NULL,
    name TEXT NOT NULL,
    numbers BLOB NOT NULL,
    PRIMARY KEY (step, episode, name)
);

CREATE INDEX opinions_by_episode ON opinions (episode);

CREATE TABLE events (
    number INTEGER PRIMARY KEY,
    step INTEGER NOT NULL,
    time REAL NOT NULL,
    level TEXT NOT NULL CHECK (level IN ('info', 'warning', 'error', 'fork', 'resume')),
    text TEXT NOT NULL
)
"""


def m002_reward(connection: sqlite3.Connection) -> None:
    """Name the sum of an episode's rewards as the record does."""
    connection.execute("ALTER TABLE episodes RENAME COLUMN return_ TO reward")


def m003_choices(connection: sqlite3.Connection) -> None:
    """The completions that a turn allowed, where it was restricted."""
    connection.execute("ALTER TABLE turns ADD COLUMN choices BLOB")
    connection.execute("ALTER TABLE episodes ADD COLUMN final_choices BLOB")


MIGRATIONS: tuple[Callable[[sqlite3.Connection], None], ...] = (m001_initial, m002_reward, m003_choices)


READABLE = 2
"""The oldest schema that is read as it is; a run that goes on is migrated first."""


def version(connection: sqlite3.Connection) -> int:
    """How many migrations the file has seen."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def refuse_empty(connection: sqlite3.Connection, name: str) -> None:
    """Raise for a file without tables: every run's database is created with them."""
    if version(connection) == 0:
        raise ValueError(f"{name} is empty: it was cut off, or never belonged to a run. Put a copy of it back.")


def check(connection: sqlite3.Connection, name: str) -> None:
    """Raise if this version of strop cannot read the file."""
    seen = version(connection)
    if seen > len(MIGRATIONS):
        raise ValueError(
            f"{name} has schema {seen}, and this strop knows {len(MIGRATIONS)}: a newer strop wrote it. Upgrade strop."
        )
    if seen < READABLE:
        raise ValueError(
            f"{name} has schema {seen}, and this strop reads {READABLE} to {len(MIGRATIONS)}. "
            "Continue the run once (strop train --resume --run DIR): that migrates it."
        )


def migrate(connection: sqlite3.Connection, name: str) -> None:
    """Bring the file to the newest schema, each migration in its own transaction."""
    for number in range(version(connection), len(MIGRATIONS)):
        connection.execute("BEGIN IMMEDIATE")
        MIGRATIONS[number](connection)
        connection.execute(f"PRAGMA user_version = {number + 1}")
        connection.execute("COMMIT")
    check(connection, name)
