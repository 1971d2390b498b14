"""What is on its way to a store while a person is forgotten is not kept, whoever sent it.

Each store counts how often people were forgotten. The count is noted before a request is read, and compared in the
transaction that writes: so nothing can come between. A note of who was forgotten would be something kept of them.
"""

from __future__ import annotations

import sqlite3

TABLE = "CREATE TABLE forgettings (number INTEGER PRIMARY KEY)"


class Overtaken(ValueError):
    """Somebody was forgotten since this was asked for."""


def forgettings(connection: sqlite3.Connection) -> int:
    """How often people were forgotten until now, by whichever process."""
    row = connection.execute("SELECT coalesce(max(number), 0) FROM forgettings").fetchone()
    return int(row[0])


def count_forgetting(connection: sqlite3.Connection) -> None:
    """From now on nothing is kept that was asked before. Within a transaction."""
    connection.execute("INSERT INTO forgettings DEFAULT VALUES")
    connection.execute("DELETE FROM forgettings WHERE number < (SELECT max(number) FROM forgettings)")


def require_not_overtaken(connection: sqlite3.Connection, asked: int | None) -> None:
    """Raise Overtaken if somebody was forgotten since `asked`, which is None for what is of now. Within the transaction
    that writes."""
    if asked not in (None, forgettings(connection)):
        raise Overtaken("it was asked before somebody was forgotten, and nothing of before is kept: ask again.")
