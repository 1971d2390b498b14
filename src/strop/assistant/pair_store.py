"""The pairs of answers in `feedback.sqlite`, and who is shown which.

A pair that somebody looks at is held for them, so that others get another one meanwhile. Nobody is shown a pair again
that they have compared or passed over.
"""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from strop.assistant.database import transaction
from strop.assistant.pairs import Duel, Pair, in_order
from strop.assistant.people import People
from strop.assistant.records import Comparison
from strop.assistant.under_way import require_not_overtaken
from strop.types import Message, storable

HELD_SECONDS = 600.0
"""How long a pair is held for the person who looks at it."""


@dataclass(frozen=True, slots=True)
class PairStore:
    """The pairs of an open feedback store, over its connection: `store.pairs`."""

    path: Path
    connection: sqlite3.Connection
    alone: threading.RLock
    people: People

    # ------------------------------------------------------------ write

    def add(self, a: str, b: str, *, seldom: float, preferred: float | None = None, when: float | None = None) -> int:
        """Keep two answers as a pair; returns its number. Their inferences are known to the store."""
        now = time.time() if when is None else when
        with self.alone, self._transaction() as connection:
            row = connection.execute(
                "INSERT INTO pairs (a, b, seldom, preferred, time) VALUES (?, ?, ?, ?, ?)",
                (a, b, seldom, preferred, now),
            )
        assert row.lastrowid is not None
        return row.lastrowid

    def next(self, rater: str, duel: Duel, when: float | None = None, asked: int | None = None) -> Pair | None:
        """The pair that this person is to compare, now or at `when`, held for them; None if there is none.

        The one that they hold already is given again. `asked` as in `FeedbackStore.write`.
        """
        now, rater = time.time() if when is None else when, self.people.hashed(rater)
        with self.alone, self._transaction() as connection:
            require_not_overtaken(connection, asked)
            rows = connection.execute("SELECT * FROM shown WHERE until > ? OR rater = ?", (now, rater)).fetchall()
            left = [pair for pair in in_order(self.all(), duel) if _may_be_shown(pair, rater, rows)]
            held = {row["pair"] for row in rows if row["rater"] == rater and row["until"] > now}
            found = min(left, key=lambda pair: pair.number not in held, default=None)
            if found is not None:
                self._show(connection, found.number, rater, now + HELD_SECONDS, is_passed=False)
        return found

    def skip(self, number: int, rater: str, asked: int | None = None) -> None:
        """Show this pair to that person no more; others may have it. Raises KeyError for one that there is not.
        `asked` as in `FeedbackStore.write`."""
        with self.alone, self._transaction() as connection:
            require_not_overtaken(connection, asked)
            if connection.execute("SELECT 1 FROM pairs WHERE number = ?", (number,)).fetchone() is None:
                raise KeyError(f"there is no pair {number}.")
            self._show(connection, number, self.people.hashed(rater), until=0.0, is_passed=True)

    def _show(self, connection: sqlite3.Connection, number: int, rater: str, until: float, is_passed: bool) -> None:
        connection.execute("INSERT OR REPLACE INTO shown VALUES (?, ?, ?, ?)", (number, rater, until, is_passed))

    def _transaction(self) -> AbstractContextManager[sqlite3.Connection]:
        return transaction("the pairs", self.path, self.connection)

    # ------------------------------------------------------------ read

    def was_shown(self, a: str, b: str, rater: str) -> bool:
        """Whether this person was given these two answers to compare, in whichever order, and has not passed."""
        with self.alone:
            found = self.connection.execute(
                "SELECT 1 FROM pairs JOIN shown ON pair = number WHERE rater = ? AND NOT is_passed AND "
                "((a = ? AND b = ?) OR (b = ? AND a = ?))",
                (self.people.hashed(rater), a, b, a, b),
            ).fetchone()
        return found is not None

    def all(self) -> list[Pair]:
        """The pairs in order, but for those whose answers are the same text."""
        with self.alone:
            rows = self.connection.execute(
                "SELECT pairs.*, x.version AS version_a, y.version AS version_b FROM pairs "
                "JOIN answers x ON x.inference = a JOIN answers y ON y.inference = b "
                "WHERE trim(x.text) != trim(y.text) ORDER BY pairs.number"
            ).fetchall()
            said = self.connection.execute(
                "SELECT pairs.number AS pair, rater, value FROM pairs JOIN feedback ON kind = 'comparison' AND "
                "((inference = a AND other = b) OR (inference = b AND other = a)) ORDER BY feedback.number"
            ).fetchall()
        choices: dict[int, dict[str, str]] = {}
        for row in said:  # of one person the last word counts
            value = Comparison(**json.loads(row["value"]))
            choices.setdefault(row["pair"], {})[row["rater"]] = value.better or value.choice
        return [_pair(row, choices.get(row["number"], {})) for row in rows]

    def asked(self, versions: frozenset[int | None]) -> set[str]:
        """The messages to which these versions have answered for a pair, each as `key_of` writes it."""
        with self.alone:
            rows = self.connection.execute(
                "SELECT x.messages, x.version AS version_a, y.version AS version_b FROM pairs "
                "JOIN answers x ON x.inference = a JOIN answers y ON y.inference = b"
            ).fetchall()
        return {row["messages"] for row in rows if {row["version_a"], row["version_b"]} == versions}


def key_of(messages: Sequence[Message]) -> str:
    """Messages as the store writes them: the same text for the same messages."""
    return storable(json.dumps(list(messages), ensure_ascii=False))


def _may_be_shown(pair: Pair, rater: str, shown: Sequence[sqlite3.Row]) -> bool:
    """Whether this person may see it, of what they were shown and others hold."""
    of_pair = [row for row in shown if row["pair"] == pair.number]
    is_passed = any(row["is_passed"] for row in of_pair if row["rater"] == rater)
    is_taken = any(row["rater"] not in pair.choices for row in of_pair if row["rater"] != rater)
    return rater not in pair.choices and not is_passed and not is_taken


def _pair(row: sqlite3.Row, choices: dict[str, str]) -> Pair:
    return Pair(
        number=row["number"],
        a=row["a"],
        b=row["b"],
        versions=frozenset((row["version_a"], row["version_b"])),
        seldom=row["seldom"],
        preferred=row["preferred"],
        choices=choices,
    )
