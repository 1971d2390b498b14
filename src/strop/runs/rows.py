"""Episodes as rows and back, exactly: token ids as int64, log-probs and rewards as float64, opinions as float32."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import accumulate, pairwise
from typing import Any

import numpy as np

from strop.runs.records import Summary
from strop.types import Choices, Completion, End, Episode, Part, Source, Task, Tokens, Turn, Unscored, storable

_EPISODE = (
    'INSERT INTO episodes (number, id, step, purpose, "group", task_id, task, final, "end", error, version, seed, '
    "source, reward, reason, final_choices) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_TURN = "INSERT INTO turns VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_PART = "INSERT INTO parts VALUES (?, ?, ?, ?, ?, ?, ?, ?)"


def insert(connection: sqlite3.Connection, step: int, purpose: str, episodes: Iterable[Episode]) -> None:
    """Insert episodes with their turns and parts, inside the caller's transaction."""
    first = connection.execute("SELECT coalesce(max(number), 0) + 1 FROM episodes").fetchone()[0]
    numbered = list(enumerate(episodes, first))
    connection.executemany(_EPISODE, (_episode_row(number, one, step, purpose) for number, one in numbered))
    turns = ((number, index, turn) for number, one in numbered for index, turn in enumerate(one.turns))
    connection.executemany(_TURN, (_turn_row(*turn) for turn in turns))
    parts = ((number, index, part) for number, one in numbered for index, part in enumerate(one.parts.items()))
    connection.executemany(_PART, (_part_row(number, index, name, part) for number, index, (name, part) in parts))


def read(connection: sqlite3.Connection, row: sqlite3.Row) -> Episode:
    """The episode of a row of `episodes`, as it was."""
    if not row["kept"]:
        raise ValueError(
            f"The token ids of episode {row['id']} (step {row['step']}) are gone: a run keeps them for its newest "
            "steps and for what its memory holds. Its texts and scores are there."
        )
    turns = connection.execute("SELECT * FROM turns WHERE episode = ? ORDER BY turn", (row["number"],))
    return Episode(
        id=row["id"],
        task=read_task(row["task"]),
        group=row["group"],
        turns=tuple(_turn(turn) for turn in turns),
        final=_integers(row["final"]),
        end=End(row["end"]),
        error=row["error"],
        version=row["version"],
        seed=tuple(json.loads(row["seed"])),
        source=Source(row["source"]),
        parts=read_parts(connection, row["number"]),
        final_choices=_choices(row, "final_choices"),
    )


def read_summary(connection: sqlite3.Connection, row: sqlite3.Row) -> Summary:
    """The summary of a row's episode, which is never dropped."""
    query = "SELECT text, finish FROM turns WHERE episode = ? ORDER BY turn"
    turns = connection.execute(query, (row["number"],)).fetchall()
    return Summary(
        id=row["id"],
        step=row["step"],
        purpose=row["purpose"],
        group=row["group"],
        task=read_task(row["task"]),
        text="\n".join(turn["text"] for turn in turns),
        end=row["end"],
        error=row["error"],
        reward=row["reward"],
        reason=row["reason"],
        parts=read_parts(connection, row["number"]),
        kept=bool(row["kept"]),
        num_turns=len(turns),
        cut=bool(turns) and turns[-1]["finish"] == "length",
    )


def read_parts(connection: sqlite3.Connection, number: int) -> dict[str, Part]:
    """The named rewards of an episode, in their order."""
    rows = connection.execute("SELECT * FROM parts WHERE episode = ? ORDER BY position", (number,))
    return {row["name"]: _part(row) for row in rows}


def read_task(text: str) -> Task:
    """The task that was written as JSON."""
    facts = json.loads(text)
    return Task(id=facts["id"], prompt=facts["prompt"], answer=facts["answer"], data=facts["data"])


def floats_to_blob(values: Sequence[float] | None) -> bytes | None:
    """float64, little endian; None stays None."""
    return None if values is None else np.asarray(values, dtype="<f8").tobytes()


def blob_to_floats(blob: bytes | None) -> tuple[float, ...] | None:
    """What `floats_to_blob` wrote."""
    return None if blob is None else tuple(np.frombuffer(blob, dtype="<f8").tolist())


def _episode_row(number: int, episode: Episode, step: int, purpose: str) -> tuple[Any, ...]:
    reward = episode.reward
    score, reason = (None, storable(reward.reason)) if isinstance(reward, Unscored) else (reward, None)
    return (
        number,
        storable(episode.id),
        step,
        purpose,
        episode.group,
        storable(episode.task.id),
        _task_json(episode.task),
        _integers_to_blob(episode.final),
        str(episode.end),
        storable(episode.error),
        episode.version,
        json.dumps(episode.seed),
        str(episode.source),
        score,
        reason,
        _choices_to_blob(episode.final_choices),
    )


def _turn_row(number: int, index: int, turn: Turn) -> tuple[Any, ...]:
    return (
        number,
        index,
        _integers_to_blob(turn.prompt),
        _integers_to_blob(turn.completion.tokens),
        floats_to_blob(turn.completion.logprobs),
        turn.completion.finish,
        storable(turn.text),
        turn.reward,
        _json(turn.data, f"the data of a turn ({turn.text[:40]!r})"),
        _choices_to_blob(turn.choices),
    )


def _part_row(number: int, index: int, name: str, part: Part) -> tuple[Any, ...]:
    total, reason = (None, storable(part.total.reason)) if isinstance(part.total, Unscored) else (part.total, None)
    return (
        number,
        index,
        storable(name),
        part.weight,
        total,
        reason,
        floats_to_blob(part.turns),
        floats_to_blob(part.tokens),
    )


def _turn(row: sqlite3.Row) -> Turn:
    completion = Completion(_integers(row["completion"]), blob_to_floats(row["logprobs"]), row["finish"])
    data, choices = json.loads(row["data"]), _choices(row, "choices")
    return Turn(_integers(row["prompt"]), completion, row["text"], row["reward"], data, choices)


def _part(row: sqlite3.Row) -> Part:
    total = row["total"] if row["reason"] is None else Unscored(row["reason"])
    return Part(row["weight"], total, blob_to_floats(row["turns"]), blob_to_floats(row["tokens"]))


def _task_json(task: Task) -> str:
    facts = {"id": task.id, "prompt": task.prompt, "answer": task.answer, "data": dict(task.data)}
    return _json(facts, f"the prompt and data of task {task.id}")


def _json(value: Mapping[str, Any], what: str) -> str:
    def refuse(part: object) -> object:
        raise ValueError(
            f"A run can only keep JSON values (texts, numbers, booleans, None, lists, dicts), but {what} holds "
            f"a {type(part).__name__}: {part!r:.80}. Convert it where it is made."
        )

    return storable(json.dumps(value if isinstance(value, dict) else dict(value), ensure_ascii=False, default=refuse))


def _choices_to_blob(choices: Choices | None) -> bytes | None:
    """How many there are, the length of each, and then their tokens; None stays None."""
    if choices is None:
        return None
    flat = [token for one in choices.tokens for token in one]
    return _integers_to_blob((len(choices.tokens), *map(len, choices.tokens), *flat))


def _choices(row: sqlite3.Row, column: str) -> Choices | None:
    """What `_choices_to_blob` wrote; runs of before there were choices have no such column."""
    blob = row[column] if column in row.keys() else None  # noqa: SIM118 (a row's `in` looks at its values)
    return None if blob is None else _same_choices(blob)


@lru_cache(4096)
def _same_choices(blob: bytes) -> Choices:
    """One object for equal choices: the turns of a run share few."""
    number, *rest = _integers(blob)
    ends = list(accumulate(rest[:number], initial=number))
    return Choices(tuple(tuple(rest[first:last]) for first, last in pairwise(ends)))


def _integers_to_blob(values: Tokens) -> bytes:
    return np.asarray(values, dtype="<i8").tobytes()


def _integers(blob: bytes) -> Tokens:
    return tuple(np.frombuffer(blob, dtype="<i8").tolist())
