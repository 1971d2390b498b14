"""A SQLite file that several processes write: opened, brought to its newest schema, and written all or nothing.

WAL with synchronous=FULL: what was written survives a kill or a power cut. What is deleted is overwritten
(secure_delete), and `emptied` does so in the WAL, which holds pages as they were. `PRAGMA user_version` counts the
migrations that a file has seen. A released migration is never edited; a change of the tables is one more at the end.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

from strop.runs.database import make_durable, readable
from strop.runs.files import WriteFailed, writing

Migration: TypeAlias = "Callable[[sqlite3.Connection], None]"

SECONDS = 30.0
"""How long a process waits for another one to finish writing."""


def connected(what: str, path: Path, migrations: Sequence[Migration]) -> sqlite3.Connection:
    """A connection to the file, which is made if there is none; several processes may open it at once."""
    with writing(what, path), readable(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(path, timeout=SECONDS, isolation_level=None, check_same_thread=False)
        try:
            connection.row_factory = sqlite3.Row
            make_durable(connection)
            connection.execute("PRAGMA secure_delete = ON")
            _migrate(connection, path, migrations)
        except BaseException:
            connection.close()
            raise
    return connection


@contextmanager
def transaction(what: str, path: Path, connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """All or nothing. Raises WriteFailed if another process keeps on writing."""
    with writing(what, path):
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
                raise
            raise WriteFailed(
                f"Another process has been writing {path} for {SECONDS:g} s. Nothing was kept; try again."
            ) from error
        try:
            yield connection
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise


def emptied(what: str, path: Path, connection: sqlite3.Connection, is_rebuilt: bool = False) -> None:
    """Empty the WAL, so that nothing of what was deleted is left in it; `is_rebuilt`: write the file anew before, so
    that nothing is left in gaps either. Raises WriteFailed if another process keeps on reading or writing."""
    with writing(what, path):
        try:
            if is_rebuilt:
                connection.execute("VACUUM")
            is_busy = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
                raise
            is_busy = True
        if is_busy:
            raise WriteFailed(
                f"The change is made, but another process has been reading {path} for {SECONDS:g} s, so the old text "
                "is still in its WAL: stop that process, and delete or change anything, or run the command again."
            )


def _migrate(connection: sqlite3.Connection, path: Path, migrations: Sequence[Migration]) -> None:
    """Bring the file to the newest schema, each migration in a transaction in which no other process migrates."""
    while (seen := _version(connection)) < len(migrations):
        connection.execute("BEGIN IMMEDIATE")
        try:
            if _version(connection) == seen:  # else another process was quicker
                migrations[seen](connection)
                connection.execute(f"PRAGMA user_version = {seen + 1}")
            connection.execute("COMMIT")
        except BaseException:
            connection.execute("ROLLBACK")
            raise
    if seen > len(migrations):
        raise ValueError(
            f"{path} has schema {seen}, and this strop knows {len(migrations)}: a newer strop wrote it. Upgrade strop."
        )


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])
