"""The file in which a judge's replies are kept, and what it has spent: SQLite, shared by any number of programs."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

LOCKED_SECONDS = 20.0
"""For so long another program may be writing."""
TABLES = """
CREATE TABLE IF NOT EXISTS replies (question TEXT PRIMARY KEY, reply TEXT NOT NULL, time REAL NOT NULL);
CREATE TABLE IF NOT EXISTS spent (judge TEXT PRIMARY KEY, requests INTEGER NOT NULL, tokens INTEGER NOT NULL);
"""


@dataclass(frozen=True, slots=True)
class Spent:
    """What a judge was asked so far, over all runs that share the file."""

    requests: int = 0
    tokens: int = 0


class Replies:
    """One open file."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def find(self, question: str) -> str | None:
        """The reply to this question, if it was asked before."""
        row = self._connection.execute("SELECT reply FROM replies WHERE question = ?", (question,)).fetchone()
        return None if row is None else str(row[0])

    def keep(self, question: str, reply: str) -> None:
        """Keep a reply that could be read."""
        self._connection.execute("INSERT OR REPLACE INTO replies VALUES (?, ?, ?)", (question, reply, time.time()))

    def reserve(self, judge: str, requests: float, tokens: float) -> bool:
        """Count one more request, before it is sent; False if that would be more than either limit allows."""
        self._connection.execute("INSERT OR IGNORE INTO spent VALUES (?, 0, 0)", (judge,))
        allowed = self._connection.execute(
            "UPDATE spent SET requests = requests + 1 WHERE judge = ? AND requests < ? AND tokens < ?",
            (judge, requests, tokens),
        )
        return allowed.rowcount == 1

    def add_tokens(self, judge: str, tokens: int) -> None:
        """Count the tokens of a request that was reserved."""
        self._connection.execute("UPDATE spent SET tokens = tokens + ? WHERE judge = ?", (tokens, judge))

    def spent(self, judge: str) -> Spent:
        """What this judge was asked so far."""
        row = self._connection.execute("SELECT requests, tokens FROM spent WHERE judge = ?", (judge,)).fetchone()
        return Spent() if row is None else Spent(*row)


@contextmanager
def opened(path: Path) -> Iterator[Replies]:
    """The file, made where it is not there. Raises ValueError naming it where it cannot be used."""
    connection: sqlite3.Connection | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(path, timeout=LOCKED_SECONDS, isolation_level=None)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.executescript(TABLES)
        yield Replies(connection)
    except (sqlite3.Error, OSError) as error:
        raise ValueError(
            f"Judge.cache: the replies of the judge cannot be kept in {path} ({error}). Name a file of its own in a "
            f"folder that can be written; another program may lock it for {LOCKED_SECONDS:g} seconds at most."
        ) from error
    finally:
        if connection is not None:
            connection.close()
