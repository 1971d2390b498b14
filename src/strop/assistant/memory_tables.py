"""The table of `memory.sqlite` and its migrations."""

from __future__ import annotations

import sqlite3

from strop.assistant.database import Migration
from strop.assistant.under_way import TABLE


def m001_facts(connection: sqlite3.Connection) -> None:
    """The facts; of two of one person the one with the larger number is newer."""
    connection.execute(
        "CREATE TABLE facts (number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, user TEXT NOT NULL, "
        "text TEXT NOT NULL, time REAL NOT NULL)"
    )
    connection.execute("CREATE INDEX facts_by_user ON facts (user)")


def m002_vectors(connection: sqlite3.Connection) -> None:
    """The vector of a fact by an encoder that reads each text alone, and the encoder's name; empty where none did."""
    connection.execute("ALTER TABLE facts ADD COLUMN vector BLOB")
    connection.execute("ALTER TABLE facts ADD COLUMN encoder TEXT NOT NULL DEFAULT ''")


def m003_forgettings(connection: sqlite3.Connection) -> None:
    """How often people were forgotten."""
    connection.execute(TABLE)


MIGRATIONS: tuple[Migration, ...] = (m001_facts, m002_vectors, m003_forgettings)
