"""Forget people: everything that is kept of them goes, from every copy, and so do the weights that learnt from them.

0. Keys of theirs go, and what is being answered is not kept: nothing new of them comes in.
1. Files that no list names, such as a copy of a database or a log, lose the lines and rows that hold their texts.
2. `memory.sqlite` and `feedback.sqlite` lose their rows, and note which feedback is gone.
3. Versions that learnt from it are retired, runs and exports of it deleted (`settling`).
4. Every file of the folder is searched once more.

A crash at any moment leaves either the rows, or the note of them: the same call completes it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from strop.assistant.canary import FILE as CANARY
from strop.assistant.copies import (
    WEIGHTS,
    Needles,
    files_in,
    is_beyond,
    is_database,
    needles_of,
    tables_of,
    without_lines,
)
from strop.assistant.erasing import Doomed
from strop.assistant.feedback import FILE as FEEDBACK
from strop.assistant.feedback import FeedbackStore
from strop.assistant.home import QUESTIONS, ROUNDS, Assistant
from strop.assistant.keys import FILE as KEYS
from strop.assistant.keys import Keys
from strop.assistant.memory import FILE as MEMORY
from strop.assistant.memory import MemoryStore
from strop.assistant.people import FILE as KEY
from strop.assistant.quarantine import FILE as QUARANTINE
from strop.assistant.quarantine import read_by_hand, write_by_hand
from strop.assistant.settings import FILE as SETTINGS
from strop.assistant.settings import write_settings
from strop.assistant.settling import Settled, retired_with, settle, settled
from strop.assistant.skills import FOLDER as SKILLS
from strop.assistant.versions import SERVING, VERSIONS
from strop.runs.directory import LOCK
from strop.runs.files import sha256
from strop.types import messages_of

OWN = {SETTINGS, QUESTIONS, SKILLS, VERSIONS, SERVING, ROUNDS, KEY, CANARY, LOCK, KEYS, QUARANTINE}
OWN |= {name + ending for name in (FEEDBACK, MEMORY) for ending in ("", "-wal", "-shm", "-journal")}
"""What an assistant's folder is made of. Anything else in it is a copy."""


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What is deleted of people.

    answers   given to them, or prepared to what they asked
    feedback  that they gave, or that was given on those answers
    facts     that they wanted remembered
    retired   versions that learnt from them
    serving   the version that serves now
    runs      of the folder `rounds`, and plans
    exports   files of `export_feedback`
    copies    other files of the folder, from which what they wrote is taken
    left      files in which something of them still stands: those from which it could not be taken, those to which
              only a link leads, and exports that were changed since
    """

    answers: int
    feedback: int
    facts: int
    retired: tuple[int, ...]
    serving: int
    runs: tuple[str, ...]
    exports: tuple[str, ...]
    copies: tuple[str, ...]
    left: tuple[str, ...]


def forget(path: Path | str, users: Sequence[str], *, dry_run: bool = False) -> Forgotten:
    """Forget people by the names that clients gave (`user`, `rater`), or by the keys of their sessions.

    `dry_run` changes nothing, and says what would be deleted. Raises ValueError if the folder is no assistant, or while
    another process learns, WriteFailed while another one keeps on reading.
    """
    assistant = Assistant(Path(path))
    with assistant.learner(), assistant.feedback() as store, _memory(assistant) as memory:
        names = _names(store, users)
        if not dry_run:
            _keys_removed(assistant, users)
            store.erasing.forget_under_way()
            if memory is not None:
                memory.forget_under_way()
        doomed = store.erasing.of_people(names)
        facts = [] if memory is None else memory.texts_of(names)
        needles = _needles(assistant, store, doomed, facts, users)
        if dry_run:
            return _planned(assistant, store, doomed, facts, needles)
        copies = [*_taken_out(assistant, doomed, names, needles), *_weights_deleted(assistant, doomed)]
        if memory is not None:
            memory.forget_all(names)
        _names_taken_out(assistant, users, [*doomed.feedback, *names])
        store.erasing.erase(doomed, is_retiring=True)
        found = settle(assistant, store)
        store.erasing.rebuild()
        if memory is not None:
            memory.rebuild()
        left = [*_holding(assistant, needles), *_changed_exports(assistant, store, needles)]
        return _forgotten(assistant, doomed, facts, found, copies, left)


def _keys_removed(assistant: Assistant, users: Sequence[str]) -> None:
    """Nobody comes in as these people."""
    with assistant.lock():
        keys = Keys(assistant.path)
        for name in {one.name for one in keys.all()} & set(users):
            keys.remove(name)


def _planned(
    assistant: Assistant, store: FeedbackStore, doomed: Doomed, facts: Sequence[str], needles: Needles
) -> Forgotten:
    """What would be deleted."""
    erased = {*doomed.feedback, *store.erasing.left()}
    found = settled(assistant, store, erased, erased)
    copies = [name for name in _holding(assistant, needles) if _is_copy(assistant, name)]
    copies += [str(file.relative_to(assistant.path)) for file in _weights(assistant, found.retired)]
    return _forgotten(assistant, doomed, facts, found, copies, ())


def _forgotten(
    assistant: Assistant,
    doomed: Doomed,
    facts: Sequence[str],
    found: Settled,
    copies: Sequence[str],
    left: Sequence[str],
) -> Forgotten:
    return Forgotten(
        answers=len(doomed.answers),
        feedback=len(doomed.feedback),
        facts=len(facts),
        retired=found.retired,
        serving=assistant.versions.serving,
        runs=found.runs,
        exports=found.exports,
        copies=tuple(copies),
        left=tuple(left),
    )


def _names(store: FeedbackStore, users: Sequence[str]) -> list[str]:
    """How the stores may name these people: by hashes, or as they are where an earlier strop wrote them."""
    keys = [hashlib.sha256(user.encode("utf-8", "surrogatepass")).hexdigest() for user in users]
    return list(dict.fromkeys(name for user in (*users, *keys) if user for name in (store.people.hashed(user), user)))


def _needles(
    assistant: Assistant, store: FeedbackStore, doomed: Doomed, facts: Sequence[str], users: Sequence[str]
) -> Needles:
    """What would tell of these people: not what others wrote too, nor what is asked of or answered by every version."""
    versions = assistant.versions
    diffs = [one for number in versions.numbers() if versions.has_diff(number) for one in versions.diff(number)]
    answered = [text for one in diffs for text in (one["before"], one["after"])]
    fixed = [message["content"] for question in assistant.questions() for message in messages_of(question)]
    others = [*store.erasing.others(doomed), *answered, *fixed]
    return needles_of([*doomed.texts, *facts], [*doomed.ids, *users], others)


# ---------------------------------------------------------------- the folder


def _holding(assistant: Assistant, needles: Needles) -> list[str]:
    """The files in which something of them stands, as paths in the folder."""
    return [str(file.relative_to(assistant.path)) for file in files_in(assistant.path) if needles.are_in(file)]


def _changed_exports(assistant: Assistant, store: FeedbackStore, needles: Needles) -> list[str]:
    """Exports outside of the folder that are no more as they were written, and in which something of them stands."""
    files = [file for file in store.erasing.exports() if not file.is_relative_to(assistant.path.absolute())]
    return [str(file) for file in files if needles.are_in(file)]


def _is_copy(assistant: Assistant, name: str) -> bool:
    """Whether a file is none of those that an assistant's folder is made of, and lies in it."""
    return Path(name).parts[0] not in OWN and not is_beyond(assistant.path / name, assistant.path)


def _taken_out(assistant: Assistant, doomed: Doomed, names: Sequence[str], needles: Needles) -> list[str]:
    """Take what they wrote out of the copies; those from which it could be taken."""
    found = list[str]()
    for name in _holding(assistant, needles):
        file = assistant.path / name
        if _is_copy(assistant, name) and file.exists() and _is_taken_out(file, doomed, names, needles):
            found.append(name)
    return found


def _is_taken_out(file: Path, doomed: Doomed, names: Sequence[str], needles: Needles) -> bool:
    if file.name.endswith(("-wal", "-shm")):
        return file.with_name(file.name[:-4]).exists()  # a part of its database, which is opened in its turn
    if not is_database(file):
        return without_lines(file, needles)
    tables = tables_of(file)
    if {"answers", "feedback"} <= tables:
        with FeedbackStore(file) as store:
            store.erasing.erase(doomed, is_retiring=True)  # a copy notes nothing
            store.erasing.done(doomed.feedback)
            store.erasing.rebuild()
    if "facts" in tables:
        with MemoryStore(file) as memory:
            memory.forget_all(names)
            memory.rebuild()
    return not needles.are_in(file)


def _names_taken_out(assistant: Assistant, users: Sequence[str], names: Sequence[str]) -> None:
    """Remove that these people are trusted, and what was decided by hand of them and their words."""
    with assistant.lock():
        if (decided := read_by_hand(assistant.path)) != (left := decided.reset(names)):
            write_by_hand(assistant.path, left)
        settings = assistant.settings
        trusted = [name for name in settings.trusted if name not in {*users, *names}]
        if trusted != list(settings.trusted):
            write_settings(assistant.path, replace(settings, trusted=trusted))


def _weights_deleted(assistant: Assistant, doomed: Doomed) -> list[str]:
    """Delete the copies of weights that learnt from this feedback; their names."""
    found = _weights(assistant, retired_with(assistant.versions, set(doomed.feedback)))
    for file in found:
        file.unlink()
    return [str(file.relative_to(assistant.path)) for file in found]


def _weights(assistant: Assistant, versions: Sequence[int]) -> list[Path]:
    """Copies of the weights of these versions elsewhere in the folder."""
    sums = {
        checksum
        for number in versions
        for name, checksum in assistant.versions.manifest(number).files.items()
        if Path(name).suffix in WEIGHTS
    }
    others = (file for ending in WEIGHTS for file in sorted(assistant.path.rglob(f"*{ending}")))
    return [
        file
        for file in (others if sums else ())
        if _is_copy(assistant, str(file.relative_to(assistant.path))) and file.is_file() and sha256(file) in sums
    ]


@contextmanager
def _memory(assistant: Assistant) -> Iterator[MemoryStore | None]:
    """The memory without an encoder, if there is one."""
    with ExitStack() as opened:
        file = assistant.path / MEMORY
        yield opened.enter_context(MemoryStore(file)) if file.exists() else None
