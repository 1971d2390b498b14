"""Open `run.sqlite`, and notice if it is damaged, or deleted or replaced while it is open."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TypeAlias

from strop.runs import schema
from strop.runs.files import Gone, writing

Identity: TypeAlias = "tuple[int, int]"
"""Device and inode: they identify a file whatever its name, as long as it is open."""


class Damaged(ValueError):
    """A database that cannot be trusted."""

    def __init__(self, path: Path, problem: object) -> None:
        super().__init__(
            f"{path} is damaged: {problem}. Put a copy of it back. The checkpoints beside it are files of their own, "
            "and may be whole: strop chat and strop export read them without it."
        )


def for_writing(path: Path, is_new: bool = False) -> sqlite3.Connection:
    """A connection for the only writer, with the schema migrated to the newest."""
    with writing("the run's database", path), readable(path), ExitStack() as opened:
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, isolation_level=None)
        opened.callback(connection.close)
        if not is_new:
            schema.refuse_empty(connection, str(path))
        make_durable(connection)
        schema.migrate(connection, str(path))
        opened.pop_all()
    return connection


def make_durable(connection: sqlite3.Connection) -> None:
    """WAL with synchronous=FULL: what was written survives a kill or a power cut. Foreign keys are checked."""
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")


def for_reading(path: Path) -> sqlite3.Connection:
    """A connection for reading, also while a writer is active or in a read-only folder."""
    if not path.is_file():
        raise ValueError(f"{path} does not exist: {path.parent} is not a run.")
    uri = path.absolute().as_uri()
    try:
        return _reader(f"{uri}?mode=ro", path)
    except sqlite3.OperationalError as error:
        # In a folder that cannot be written SQLite cannot make a WAL's index; a file without a WAL needs none.
        if path.with_name(path.name + "-wal").exists():
            raise ValueError(
                f"{path} cannot be read: {error}. Its writer left a WAL, and reading that may need a folder that "
                "can be written: copy the run's folder to one."
            ) from error
    return _reader(f"{uri}?immutable=1", path)


def damage(connection: sqlite3.Connection) -> str:
    """What is wrong with the pages of the file, in SQLite's words; empty if they are intact."""
    try:
        found = str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
    except sqlite3.OperationalError:  # the check could not run, which says nothing about the pages
        return ""
    except sqlite3.DatabaseError as error:
        return str(error)
    return "" if found == "ok" else " ".join(found.removeprefix("*** in database main ***").split())


def identity(path: Path) -> Identity:
    """The identity of the file at `path`."""
    found = os.stat(path)
    return found.st_dev, found.st_ino


def require_same(path: Path, opened: Identity) -> None:
    """Raise Gone if the file at `path` is not the one that was opened, or is missing.

    A deleted file can still be written while it is open; its content is lost when it is closed.
    """
    try:
        found = identity(path)
    except FileNotFoundError:
        found = None
    if found != opened:
        raise Gone(
            f"{path.parent} is no longer this run: its {path.name} was deleted, moved or replaced while it was being "
            "written. The run stops here, and writes nothing in its place."
        )


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Turn SQLite's error for a damaged file, or one that is no database, into a ValueError of one line."""
    try:
        yield
    except sqlite3.OperationalError:
        raise
    except sqlite3.DatabaseError as error:
        raise ValueError(f"{path} cannot be read: {error}.") from error


def _reader(uri: str, path: Path) -> sqlite3.Connection:
    with ExitStack() as opened:
        connection = sqlite3.connect(uri, uri=True)
        opened.callback(connection.close)
        with readable(path):
            schema.refuse_empty(connection, str(path))
            schema.check(connection, str(path))
        opened.pop_all()
    return connection
