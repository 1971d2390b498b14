"""Files in which something may be left of who is forgotten, noted before what is searched for is gone.

So whoever completes what a kill cut off names them, too, and so does each later call until somebody has seen to them. A
note says nothing of whom.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from strop.assistant.copies import Searched
from strop.assistant.database import transaction
from strop.assistant.needles import Needles
from strop.assistant.people import People
from strop.types import storable


@dataclass(frozen=True, slots=True)
class Leftovers:
    """The notes in an open feedback store, over its connection: `store.leftovers`."""

    path: Path
    connection: sqlite3.Connection
    alone: threading.RLock
    people: People

    def note(self, left: Searched, needles: Needles) -> None:
        """Note these files, which hold something or could not be read, and no others.

        Those in the folder by keyed hashes of their paths, which may tell of somebody; others can be found by nothing
        but their paths, and are noted so, unless one of `needles` stands in these.
        """
        rows = [
            (self._noted(file, needles), *stamp, is_read)
            for files, is_read in ((left.unread, False), (left.holding, True))
            for file in files
            if (stamp := _stamp(file)) is not None
        ]
        with self.alone, transaction("what is left", self.path, self.connection) as connection:
            connection.execute("DELETE FROM leftovers")
            connection.executemany("INSERT OR REPLACE INTO leftovers VALUES (?, ?, ?, ?)", rows)

    def there(self, files: Iterable[Path]) -> Searched:
        """What is noted of these files, and of any outside of the folder, and not seen to since: neither gone, nor
        changed but at its end."""
        with self.alone:
            rows = {row["path"]: row for row in self.connection.execute("SELECT * FROM leftovers")}
        known = {self._hashed(file): file for file in files} if rows else {}
        found = {known.get(key, Path(key)): row for key, row in rows.items()}
        left = {file: row for file, row in found.items() if _is_as_noted(file, row["size"], row["time"])}
        return Searched(
            tuple(file for file, row in left.items() if row["is_read"]),
            tuple(file for file, row in left.items() if not row["is_read"]),
        )

    def _noted(self, file: Path, needles: Needles) -> str:
        path = str(file.absolute())
        is_hidden = file.is_relative_to(self.path.parent) or needles.are_in_text(path) or storable(path) != path
        return self._hashed(file) if is_hidden else path

    def _hashed(self, file: Path) -> str:
        """Of its path in the folder, which may be moved, or else of the whole."""
        folder = self.path.parent
        return self.people.hashed(str(file.relative_to(folder) if file.is_relative_to(folder) else file.absolute()))


def _stamp(file: Path) -> tuple[int, int] | None:
    """Its size, and when it was written; None for what is gone."""
    try:
        seen = os.stat(file)
    except FileNotFoundError:
        return None
    except OSError:
        return 0, 0  # in a folder that is closed to us
    return seen.st_size, seen.st_mtime_ns


def _is_as_noted(file: Path, size: int, time: int) -> bool:
    """Whether nobody has seen to a file: what somebody still writes to, such as a log, is larger."""
    stamp = _stamp(file)
    return stamp is not None and (stamp == (size, time) or stamp[0] > size)
