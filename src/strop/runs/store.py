"""`run.sqlite`: what happened in a run, one transaction a step.

WAL with synchronous=FULL: after a kill or a power cut the file holds whole steps only. One writer (it holds the run's
lock), any number of readers.

The step of a row: training rows with step s belong to step s (from 0); `held_out/*` metrics and held-out episodes with
step k evaluate the policy after k steps. So checkpoint k goes with training rows < k and evaluations <= k.

Disk policy: scores, texts and metrics are never deleted. Token ids, log-probs and opinions of training episodes are
dropped by `drop_tokens` once they are old and no memory needs them; such an episode has `kept` = 0.
"""

from __future__ import annotations

import json
import math
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from types import TracebackType
from typing import TypeAlias

import numpy as np

from strop.runs import database, rows
from strop.runs.files import writing
from strop.runs.records import EARLY_STOP, HELD_OUT, Event, Purpose, Summary
from strop.types import Episode, storable
from strop.words import plural

Opinions: TypeAlias = "Mapping[tuple[str, str], np.ndarray]"  # (episode id, name) -> float32 per action of the episode

BEST = {"gold": "DESC", "reward": "DESC", "accuracy": "DESC", "loss": "ASC"}
"""The held-out scores by which a checkpoint is the best, and which end of them is good."""


class Store:
    """One open `run.sqlite`. Use `Store.create`, `Store.open` (the writer) or `Store.read`, and close it."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection, self.path = connection, path
        self._file = database.identity(path)
        connection.row_factory = sqlite3.Row

    # ------------------------------------------------------------ open and close

    @classmethod
    def create(cls, path: Path) -> None:
        """Make a file with empty tables."""
        with writing("the run's database", path):
            path.touch(exist_ok=False)
        database.for_writing(path, is_new=True).close()

    @classmethod
    def open(cls, path: Path) -> Store:
        """Open for writing, and migrate to the newest schema."""
        return cls(database.for_writing(path), path)

    @classmethod
    def read(cls, path: Path) -> Store:
        """Open for reading, beside a writer or in a folder that cannot be written."""
        return cls(database.for_reading(path), path)

    def close(self) -> None:
        """Close the file; the last one to close folds the WAL into it."""
        self._connection.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """If reading failed, check the file: damage is the error to report."""
        with closing(self):
            if isinstance(error, Exception) and not isinstance(error, database.Damaged):
                self.check()

    def require_there(self) -> None:
        """Raise Gone if the run was deleted, moved or replaced since it was opened."""
        database.require_same(self.path, self._file)

    def check(self) -> None:
        """Raise Damaged if a page of the file is damaged."""
        if problem := database.damage(self._connection):
            raise database.Damaged(self.path, problem)

    # ------------------------------------------------------------ write

    def write_step(
        self,
        step: int,
        episodes: Sequence[Episode],
        metrics: Mapping[str, float],
        opinions: Opinions,
        events: Sequence[Event] = (),
    ) -> None:
        """Write one training step in one transaction."""
        with self._transaction(f"step {step}") as connection:
            connection.execute("INSERT INTO steps VALUES (?, ?)", (step, time.time()))
            rows.insert(connection, step, "train", episodes)
            _insert_metrics(connection, step, metrics)
            connection.executemany(
                "INSERT INTO opinions VALUES (?, ?, ?, ?)",
                ((step, id, name, numbers.astype("<f4").tobytes()) for (id, name), numbers in opinions.items()),
            )
            _insert_events(connection, events)

    def write_evaluation(self, step: int, episodes: Sequence[Episode], metrics: Mapping[str, float]) -> None:
        """Write the held-out evaluation after `step` steps; its metrics are named `held_out/...`."""
        wrong = [name for name in metrics if not name.startswith(HELD_OUT)]
        if wrong:
            raise ValueError(f"Metrics of an evaluation are named {HELD_OUT}..., not {', '.join(wrong)}.")
        with self._transaction(f"the evaluation at step {step}") as connection:
            connection.execute("INSERT INTO evaluations VALUES (?, ?)", (step, time.time()))
            rows.insert(connection, step, "evaluate", episodes)
            _insert_metrics(connection, step, metrics)

    def write_event(self, event: Event) -> None:
        """Write one event."""
        with self._transaction("an event") as connection:
            _insert_events(connection, [event])

    def rewind(self, step: int) -> None:
        """Delete, in one transaction, what a run resumed from checkpoint `step` will do again."""
        with self._transaction(f"the return to step {step}") as connection:
            for table in ("steps", "opinions"):
                connection.execute(f"DELETE FROM {table} WHERE step >= ?", (step,))
            connection.execute("DELETE FROM evaluations WHERE step > ?", (step,))
            connection.execute("DELETE FROM episodes WHERE step >= ? AND purpose = 'train'", (step,))
            connection.execute("DELETE FROM episodes WHERE step > ? AND purpose = 'evaluate'", (step,))
            connection.execute(
                "DELETE FROM metrics WHERE step > ? OR (step = ? AND name NOT GLOB ?)", (step, step, f"{HELD_OUT}*")
            )
            connection.execute("DELETE FROM events WHERE step >= ? AND level IN ('info', 'warning')", (step,))

    def drop_tokens(self, before: int, held: Iterable[str]) -> int:
        """Drop token ids, log-probs and opinions of training episodes of steps < `before`, except those in `held`."""
        with self._transaction("the removal of old token ids") as connection:
            connection.execute("CREATE TEMP TABLE old (number INTEGER PRIMARY KEY, id TEXT)")
            connection.execute(
                "INSERT INTO old SELECT number, id FROM episodes WHERE kept AND purpose = 'train' AND step < ? "
                "AND id NOT IN (SELECT value FROM json_each(?))",
                (before, json.dumps(list(held))),
            )
            old = "(SELECT number FROM old)"
            connection.execute(
                f"UPDATE turns SET prompt = NULL, completion = NULL, logprobs = NULL, choices = NULL "
                f"WHERE episode IN {old}"
            )
            connection.execute(f"UPDATE parts SET turns = NULL, tokens = NULL WHERE episode IN {old}")
            connection.execute(f"UPDATE episodes SET final = x'', final_choices = NULL, kept = 0 WHERE number IN {old}")
            connection.execute("DELETE FROM opinions WHERE episode IN (SELECT id FROM old)")
            dropped = int(connection.execute("SELECT count(*) FROM old").fetchone()[0])
            connection.execute("DROP TABLE old")
        return dropped

    @contextmanager
    def _transaction(self, what: str) -> Iterator[sqlite3.Connection]:
        """All or nothing; an error of the disk becomes a `WriteFailed`."""
        connection = self._connection
        with writing(what, self.path):
            self.require_there()
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    # ------------------------------------------------------------ read

    def latest_step(self) -> int | None:
        """The newest training step, or None before the first."""
        step = self._connection.execute("SELECT max(step) FROM steps").fetchone()[0]
        return None if step is None else int(step)

    def has_evaluation(self, step: int) -> bool:
        """Whether there is a held-out evaluation after `step` steps."""
        found = self._connection.execute("SELECT 1 FROM evaluations WHERE step = ?", (step,)).fetchone()
        return found is not None

    def best_step(self) -> int | None:
        """The first step with the best of the first score in `BEST` that was judged."""
        for name, order in BEST.items():
            row = self._connection.execute(
                f"SELECT step FROM metrics WHERE name = ? AND value IS NOT NULL ORDER BY value {order}, step LIMIT 1",
                (HELD_OUT + name,),
            ).fetchone()
            if row is not None:
                return int(row["step"])
        return None

    def why_stop_early(self, patience: int) -> str:
        """The reason, if `patience` evaluations or more came after the best one; else, and for 0, empty."""
        best = self.best_step()
        if not patience or best is None:
            return ""
        query = f"SELECT COUNT(DISTINCT step) AS num FROM metrics WHERE name LIKE '{HELD_OUT}%' AND step > ?"
        num = int(self._connection.execute(query, (best,)).fetchone()["num"])
        if num < patience:
            return ""
        why = f"the held-out score was best after {plural(best, 'step')}, {plural(num, 'evaluation')} ago"
        return f"{EARLY_STOP}: {why}. That checkpoint is RUN@best; patience=0 goes on."

    def metrics(self) -> list[dict[str, float]]:
        """One dict per step, with "step" first, then metrics by name. NaN replaces a number that was not finite."""
        table: dict[int, dict[str, float]] = {}
        for row in self._connection.execute("SELECT step, name, value FROM metrics ORDER BY step, name"):
            table.setdefault(row["step"], {"step": row["step"]})[row["name"]] = _number(row["value"])
        return list(table.values())

    def series(self, name: str) -> list[tuple[int, float]]:
        """`(step, value)` of one metric."""
        query = "SELECT step, value FROM metrics WHERE name = ? ORDER BY step"
        return [(row["step"], _number(row["value"])) for row in self._connection.execute(query, (name,))]

    def seconds(self) -> float:
        """The time of all training steps."""
        return math.fsum(value for _, value in self.series("time/step_seconds"))

    def events(self) -> list[Event]:
        """All events, oldest first."""
        found = self._connection.execute("SELECT step, level, text, time FROM events ORDER BY number")
        return [Event(row["step"], row["level"], row["text"], row["time"]) for row in found]

    def episode(self, id: str) -> Episode:
        """The newest episode with this id, exactly as it was."""
        row = self._connection.execute(
            "SELECT * FROM episodes WHERE id = ? ORDER BY step DESC, number DESC LIMIT 1", (id,)
        ).fetchone()
        if row is None:
            raise ValueError(f"{self.path} has no episode {id}.")
        return rows.read(self._connection, row)

    def held(self, ids: Iterable[str], before: int) -> dict[str, Episode]:
        """The training episodes of steps < `before` that a memory names, exactly as they were."""
        found = self._connection.execute(
            "SELECT * FROM episodes WHERE purpose = 'train' AND step < ? AND id IN (SELECT value FROM json_each(?))",
            (before, json.dumps(list(ids))),
        )
        return {row["id"]: rows.read(self._connection, row) for row in found.fetchall()}

    def episodes(self, purpose: Purpose = "train", step: int | None = None) -> list[Episode]:
        """Episodes exactly as they were (of one step, or of all), without those whose token ids were dropped."""
        return [rows.read(self._connection, row) for row in self._select(purpose, step) if row["kept"]]

    def summaries(self, purpose: Purpose = "train", step: int | None = None) -> list[Summary]:
        """Tasks, texts and scores of the episodes (of one step, or of all), also where token ids were dropped."""
        return [rows.read_summary(self._connection, row) for row in self._select(purpose, step)]

    def opinions(self, id: str) -> list[tuple[int, str, np.ndarray]]:
        """`(step, name, float32 per action)` of every opinion on an episode; NaN where no update saw the action."""
        query = "SELECT step, name, numbers FROM opinions WHERE episode = ? ORDER BY step, name"
        found = self._connection.execute(query, (id,))
        return [(row["step"], row["name"], np.frombuffer(row["numbers"], dtype="<f4")) for row in found]

    def _select(self, purpose: Purpose, step: int | None) -> list[sqlite3.Row]:
        query = "SELECT * FROM episodes WHERE purpose = ? AND (? IS NULL OR step = ?) ORDER BY number"
        return self._connection.execute(query, (purpose, step, step)).fetchall()


def _insert_metrics(connection: sqlite3.Connection, step: int, metrics: Mapping[str, float]) -> None:
    values = ((step, storable(name), None if math.isnan(value) else value) for name, value in metrics.items())
    connection.executemany("INSERT INTO metrics VALUES (?, ?, ?)", values)


def _insert_events(connection: sqlite3.Connection, events: Iterable[Event]) -> None:
    values = ((event.step, event.time or time.time(), event.level, storable(event.text)) for event in events)
    connection.executemany("INSERT INTO events (step, time, level, text) VALUES (?, ?, ?, ?)", values)


def _number(value: float | None) -> float:
    return math.nan if value is None else value
