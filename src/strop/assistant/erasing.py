"""What is to be deleted from `feedback.sqlite`, and its deletion: all of it in one transaction, with a note of it for
whoever deletes what else was made of it.

An answer goes with all that was said of it. With the last one to its messages go those that the server prepared to
them, since they hold these too.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path

from strop.assistant.database import emptied, transaction
from strop.assistant.under_way import count_forgetting, forgettings
from strop.runs.files import sha256

WHAT = "the feedback"
_WITHDRAWN = (
    "INSERT OR IGNORE INTO withdrawn SELECT id, rater FROM feedback WHERE id = :id UNION "
    "SELECT feedback.id, answers.rater FROM feedback JOIN answers ON answers.inference = feedback.inference OR "
    "answers.inference = feedback.other OR answers.conversation = feedback.conversation WHERE id = :id AND "
    "answers.rater != ''"
)
"""Notes who gave feedback that goes, and to whom the answers were given that it speaks of."""
_FORGOTTEN = "DELETE FROM withdrawn WHERE feedback = :id"


@dataclass(frozen=True, slots=True)
class Doomed:
    """What is to be deleted.

    answers   inferences
    feedback  ids
    names     hashed, of people of whom nothing stays
    texts     all that these answers and this feedback say
    ids       under which they are known elsewhere
    """

    answers: tuple[str, ...] = ()
    feedback: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Erasing:
    """The deletions of an open feedback store, over its connection: `store.erasing`."""

    path: Path
    connection: sqlite3.Connection
    alone: threading.RLock

    # ------------------------------------------------------------ choose

    def of_people(self, names: Sequence[str]) -> Doomed:
        """All conversations in which these people were answered, and all that they said; by their names as kept."""
        with self.alone:
            talks = self._column("SELECT DISTINCT conversation FROM answers WHERE rater = ?", names)
            answers = self._column("SELECT inference FROM answers WHERE conversation = ?", talks)
            said = self._column("SELECT id FROM feedback WHERE rater = ?", names)
            said += self._column("SELECT id FROM feedback WHERE conversation = ?", talks)
            said += self._column("SELECT feedback FROM withdrawn WHERE name = ?", names)
            return self._doomed(answers, said, talks, names)

    def of_conversation(self, conversation: str) -> Doomed:
        """A conversation, and all that was said of it."""
        with self.alone:
            answers = self._column("SELECT inference FROM answers WHERE conversation = ?", [conversation])
            said = self._column("SELECT id FROM feedback WHERE conversation = ?", [conversation])
            return self._doomed(answers, said, [conversation], ())

    def before(self, when: float) -> Doomed:
        """All answers that were given, and all that was said, before a time in seconds since 1970."""
        with self.alone:
            answers = self._column("SELECT inference FROM answers WHERE time < ?", [when])
            said = self._column("SELECT id FROM feedback WHERE time < ?", [when])
            said += self._column(
                "SELECT id FROM feedback WHERE conversation IS NOT NULL AND NOT EXISTS (SELECT 1 FROM answers WHERE "
                "answers.conversation = feedback.conversation AND time >= ?)",
                [when],
            )
            return self._doomed(answers, said, (), ())

    def _doomed(
        self, answers: Iterable[str], said: Iterable[str], talks: Sequence[str], names: Sequence[str]
    ) -> Doomed:
        answers = _each(answers)
        asked = _each(self._column("SELECT messages FROM answers WHERE inference = ?", answers))
        prepared = [one for messages in asked for one in self._prepared(messages, set(answers))]
        inferences = _each([*answers, *prepared])
        feedback = _each([*said, *self._said_of(inferences)])
        messages = [one["content"] for text in asked for one in json.loads(text)]
        values = [json.loads(text) for text in self._column("SELECT value FROM feedback WHERE id = ?", feedback)]
        texts = _each([*messages, *self._column("SELECT text FROM answers WHERE inference = ?", inferences)])
        return Doomed(
            answers=inferences,
            feedback=feedback,
            names=tuple(names),
            texts=(*texts, *(value for value in values if isinstance(value, str))),
            ids=_each([*inferences, *feedback, *talks, *names]),
        )

    def _prepared(self, messages: str, doomed: AbstractSet[str]) -> list[str]:
        """What was prepared to these messages; nothing if somebody asked them whose answer stays."""
        rows = self.connection.execute("SELECT inference, is_prepared FROM answers WHERE messages = ?", (messages,))
        found = [row for row in rows if row["inference"] not in doomed]
        is_asked = any(not row["is_prepared"] for row in found)
        return [] if is_asked else [row["inference"] for row in found]

    def _column(self, query: str, values: Iterable[object]) -> list[str]:
        return [row[0] for value in values for row in self.connection.execute(query, (value,))]

    # ------------------------------------------------------------ what is under way

    def forgettings(self) -> int:
        """How often people were forgotten: noted before a request is read, and handed to the store with it."""
        with self.alone:
            return forgettings(self.connection)

    def forget_under_way(self) -> None:
        """From now on nothing is kept that was asked before, in whichever process."""
        with self.alone, transaction(WHAT, self.path, self.connection) as connection:
            count_forgetting(connection)

    # ------------------------------------------------------------ delete

    def erase(self, doomed: Doomed, *, is_retiring: bool) -> Doomed:
        """Delete it, and return all that is deleted. Until `done` it is noted which feedback is gone, and whether what
        learnt from it goes too.

        What came since it was chosen goes with it: more of these people, what anybody said of these answers, and what
        was prepared to these questions, if nobody else asks them now.
        """
        with self.alone, transaction(WHAT, self.path, self.connection) as connection:
            again = _together(doomed, self.of_people(doomed.names))
            found = _together(again, self._doomed(again.answers, again.feedback, (), ()))
            self._delete(connection, found.answers, found.feedback, is_retiring)
            for name in doomed.names:
                connection.execute("DELETE FROM shown WHERE rater = ?", (name,))
        with self.alone:
            emptied(WHAT, self.path, self.connection)
        return found

    def _delete(
        self, connection: sqlite3.Connection, answers: Iterable[str], feedback: Iterable[str], is_retiring: bool
    ) -> None:
        for id in feedback:
            connection.execute(_FORGOTTEN if is_retiring else _WITHDRAWN, {"id": id})
            connection.execute("DELETE FROM feedback WHERE id = ?", (id,))
            connection.execute(
                "INSERT INTO erased VALUES (?, ?) ON CONFLICT (feedback) DO UPDATE SET "
                "is_retiring = max(is_retiring, ?)",
                (id, is_retiring, is_retiring),
            )
        for inference in answers:
            pairs = "SELECT number FROM pairs WHERE a = ? OR b = ?"
            connection.execute(f"DELETE FROM shown WHERE pair IN ({pairs})", (inference, inference))
            connection.execute("DELETE FROM pairs WHERE a = ? OR b = ?", (inference, inference))
            connection.execute("DELETE FROM answers WHERE inference = ?", (inference,))

    def _said_of(self, inferences: Iterable[str]) -> tuple[str, ...]:
        """The feedback on these answers, also where they are the second of two that were compared."""
        some = self._column("SELECT id FROM feedback WHERE inference = ?", inferences)
        return _each([*some, *self._column("SELECT id FROM feedback WHERE other = ?", inferences)])

    def left(self) -> Mapping[str, bool]:
        """The ids of deleted feedback of which something else may be left, and whether versions are to go that learnt
        from it."""
        with self.alone:
            rows = self.connection.execute("SELECT feedback, is_retiring FROM erased").fetchall()
        return {row["feedback"]: bool(row["is_retiring"]) for row in rows}

    def done(self, ids: Iterable[str]) -> None:
        """Nothing else is left of this feedback."""
        with self.alone:
            with transaction(WHAT, self.path, self.connection) as connection:
                connection.executemany("DELETE FROM erased WHERE feedback = ?", [(id,) for id in ids])
            emptied(WHAT, self.path, self.connection)

    def rebuild(self) -> None:
        """Write the file anew, so that nothing of what was deleted is left in its gaps."""
        with self.alone:
            emptied(WHAT, self.path, self.connection, is_rebuilt=True)

    def unlearnt(self, learnt: AbstractSet[str]) -> None:
        """Of withdrawn feedback from which no version has learnt, nothing is noted any more."""
        with self.alone, transaction(WHAT, self.path, self.connection) as connection:
            ids = {row["feedback"] for row in connection.execute("SELECT feedback FROM withdrawn")}
            connection.executemany("DELETE FROM withdrawn WHERE feedback = ?", [(id,) for id in ids - learnt])

    # ------------------------------------------------------------ what stays

    def others(self, but: Doomed) -> set[str]:
        """All texts that the store holds beside these."""
        answers, feedback = set(but.answers), set(but.feedback)
        with self.alone:
            rows = self.connection.execute("SELECT inference, messages, text FROM answers").fetchall()
            said = self.connection.execute("SELECT id, value FROM feedback").fetchall()
        rows = [row for row in rows if row["inference"] not in answers]
        asked = {one["content"] for text in {row["messages"] for row in rows} for one in json.loads(text)}
        values = [json.loads(row["value"]) for row in said if row["id"] not in feedback]
        return asked | {row["text"] for row in rows} | {value for value in values if isinstance(value, str)}

    def exports(self) -> dict[Path, str]:
        """Where its feedback was exported to, and the checksums of what was written."""
        with self.alone:
            rows = self.connection.execute("SELECT path, sha256 FROM exports ORDER BY path").fetchall()
        return {Path(row["path"]): row["sha256"] for row in rows}

    def unexported(self, paths: Iterable[str]) -> None:
        """These exports are no more, and their names may tell of somebody."""
        with self.alone, transaction(WHAT, self.path, self.connection) as connection:
            connection.executemany("DELETE FROM exports WHERE path = ?", [(path,) for path in paths])

    def people(self) -> dict[str, int]:
        """How many answers and pieces of feedback are kept of each person, by their name as it is kept; of some nothing
        but what they were shown, or that they took something back."""
        query = (
            "SELECT rater, sum(n) AS n FROM (SELECT rater, 1 AS n FROM answers UNION ALL "
            "SELECT rater, 1 FROM feedback UNION ALL SELECT rater, 0 FROM shown UNION ALL "
            "SELECT name, 0 FROM withdrawn) WHERE rater != '' GROUP BY rater"
        )
        with self.alone:
            return {row["rater"]: row["n"] for row in self.connection.execute(query)}

    def exported(self, path: Path) -> None:
        """Note a file to which feedback was exported."""
        with self.alone, transaction(WHAT, self.path, self.connection) as connection:
            row = (str(path.absolute()), sha256(path))
            connection.execute("INSERT OR REPLACE INTO exports VALUES (?, ?)", row)


def _together(one: Doomed, other: Doomed) -> Doomed:
    """What is to be deleted of both."""
    return Doomed(
        answers=_each([*one.answers, *other.answers]),
        feedback=_each([*one.feedback, *other.feedback]),
        names=_each([*one.names, *other.names]),
        texts=_each([*one.texts, *other.texts]),
        ids=_each([*one.ids, *other.ids]),
    )


def _each(values: Iterable[str]) -> tuple[str, ...]:
    """Each once, in order."""
    return tuple(dict.fromkeys(values))
