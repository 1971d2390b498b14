"""What people wrote is looked for in an assistant's whole folder, and taken out of copies that no list names."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path

from strop.assistant.canary import FILE as CANARY
from strop.assistant.copies import (
    WEIGHTS,
    Searched,
    are_in,
    columns_of,
    is_beyond,
    is_database,
    searched,
    walked,
)
from strop.assistant.erasing import Doomed
from strop.assistant.feedback import FILE as FEEDBACK
from strop.assistant.feedback import FeedbackStore
from strop.assistant.home import QUESTIONS, ROUNDS, Assistant
from strop.assistant.keys import FILE as KEYS
from strop.assistant.linewise import without_lines
from strop.assistant.memory import FILE as MEMORY
from strop.assistant.memory import MemoryStore
from strop.assistant.needles import Needles
from strop.assistant.people import FILE as KEY
from strop.assistant.quarantine import FILE as QUARANTINE
from strop.assistant.settings import FILE as SETTINGS
from strop.assistant.settling import Settled
from strop.assistant.skills import FOLDER as SKILLS
from strop.assistant.versions import SERVING, VERSIONS
from strop.runs.directory import LOCK
from strop.runs.files import sha256

OWN = {SETTINGS, QUESTIONS, SKILLS, VERSIONS, SERVING, ROUNDS, KEY, CANARY, LOCK, KEYS, QUARANTINE}
STORES = {name + ending for name in (FEEDBACK, MEMORY) for ending in ("", "-wal", "-shm", "-journal")}
OWN |= STORES
"""What an assistant's folder is made of. Anything else in it is a copy."""
_STORES: Mapping[str, AbstractSet[str]] = {
    "answers": {"inference", "conversation", "messages", "rater"},
    "feedback": {"id", "rater", "value"},
    "facts": {"id", "user", "text", "time"},
}
"""The tables of strop's stores, and columns that tell them from others of the same name."""


def found_in(assistant: Assistant, needles: Needles) -> Searched:
    """The files of the folder in which something stands, in their names too, and what could not be read.

    The stores are read like any other file: close them before, since a process that closes a file loses all its locks
    on it, and SQLite keeps its own by these.
    """
    there = walked(assistant.path)
    held = searched(there.files, lambda file: _is_found(assistant, needles, file))
    return Searched(held.holding, (*there.unread, *held.unread))


def _is_found(assistant: Assistant, needles: Needles, file: Path) -> bool:
    path = file.relative_to(assistant.path)
    return any(needles.are_in_text(str(one)) for one in (path, path.with_suffix(""))) or are_in(needles, file)


def found_in_exports(assistant: Assistant, exports: Iterable[Path], needles: Needles) -> Searched:
    """Exports outside of the folder that are no more as they were written, and in which something stands."""
    outside = [file for file in exports if not file.is_relative_to(assistant.path.absolute())]
    return searched(outside, lambda file: file.is_file() and are_in(needles, file))


def named(assistant: Assistant, files: Iterable[Path]) -> tuple[str, ...]:
    """Files by their paths in the folder, or else whole; each once."""
    paths = (file.relative_to(assistant.path) if file.is_relative_to(assistant.path) else file for file in files)
    return tuple(dict.fromkeys(map(str, paths)))


def is_copy(assistant: Assistant, file: Path) -> bool:
    """Whether a file is none of those that an assistant's folder is made of, and lies in it."""
    return file.relative_to(assistant.path).parts[0] not in OWN and not is_beyond(file, assistant.path)


# ---------------------------------------------------------------- texts


@dataclass(frozen=True, slots=True)
class TakenOut:
    """The copies from which all was taken that they wrote, and the other files, in which something stands or may."""

    copies: tuple[Path, ...]
    left: Searched


def taken_out(assistant: Assistant, doomed: Doomed, names: Sequence[str], needles: Needles) -> TakenOut:
    """Take what they wrote out of the copies. The stores may be open, also under other names of theirs: they are not
    looked into."""
    stores = {(one.st_dev, one.st_ino) for one in map(Path.stat, filter(Path.exists, _stores(assistant)))}

    def is_found(file: Path) -> bool:
        seen = file.stat()
        return (seen.st_dev, seen.st_ino) not in stores and _is_found(assistant, needles, file)

    there = walked(assistant.path)
    found = searched(there.files, is_found)
    copies = [file for file in found.holding if is_copy(assistant, file)]
    taken = [file for file in copies if file.exists() and _is_taken_out(file, doomed, names, needles)]
    left = [file for file in found.holding if file not in taken]
    return TakenOut(tuple(taken), Searched(tuple(left), (*there.unread, *found.unread)))


def but_written(assistant: Assistant, left: Searched, going: Iterable[Path] = ()) -> Searched:
    """Without what the same call writes or deletes when it comes again: databases, settings, and what is going."""
    ours = {*going, *(assistant.path / name for name in (*STORES, SETTINGS, QUARANTINE, KEYS))}
    files = (tuple(one for one in some if ours.isdisjoint([one, *one.parents])) for some in (left.holding, left.unread))
    return Searched(*files)


def _stores(assistant: Assistant) -> list[Path]:
    """The files of the databases of an assistant."""
    return [assistant.path / name for name in STORES]


def _is_taken_out(file: Path, doomed: Doomed, names: Sequence[str], needles: Needles) -> bool:
    try:
        if file.name.endswith(("-wal", "-shm")):
            return file.with_name(file.name[:-4]).exists()  # a part of its database, which is opened in its turn
        if not is_database(file):
            return without_lines(file, needles)
        _rows_taken_out(file, doomed, names)
        return not are_in(needles, file)
    except (OSError, ValueError, sqlite3.Error):
        return False


def _rows_taken_out(file: Path, doomed: Doomed, names: Sequence[str]) -> None:
    """Also those that the store itself has no more, since the person took them back or they were too old."""
    tables = columns_of(file)
    is_of = {name: columns <= tables.get(name, set()) for name, columns in _STORES.items()}
    if is_of["answers"] and is_of["feedback"]:
        with FeedbackStore(file) as store:
            for one in (doomed, store.erasing.of_people(names)):
                store.erasing.done(store.erasing.erase(one, is_retiring=True).feedback)  # a copy notes nothing
            store.erasing.rebuild()
    if is_of["facts"]:
        with MemoryStore(file) as memory:
            memory.forget_all(names)
            memory.rebuild()


# ---------------------------------------------------------------- weights


def copied_weights(assistant: Assistant, found: Settled) -> Searched:
    """Copies of the weights of these versions and runs elsewhere in the folder."""
    versions, rounds = assistant.versions, assistant.rounds
    kept = _sums(assistant, set(versions.numbers()) - set(found.retired))
    sums, unread = set(_sums(assistant, found.retired)), list[Path]()
    of_runs = [file for name in found.runs for ending in WEIGHTS for file in (rounds / name).rglob(f"*{ending}")]
    for file in of_runs:
        try:
            if file.is_file():
                sums.add(sha256(file))
        except OSError:
            unread.append(file)  # nobody can tell where copies of it are
    sums -= kept
    others = [file for ending in WEIGHTS for file in sorted(assistant.path.rglob(f"*{ending}"))] if sums else []
    copies = searched(others, lambda file: file.is_file() and is_copy(assistant, file) and sha256(file) in sums)
    return copies + Searched((), tuple(unread))


def _sums(assistant: Assistant, versions: Iterable[int]) -> set[str]:
    """The checksums of the weights of versions."""
    return {
        checksum
        for number in versions
        for name, checksum in assistant.versions.manifest(number).files.items()
        if Path(name).suffix in WEIGHTS
    }


def deleted(files: Iterable[Path]) -> list[Path]:
    """Delete files; those that could not be deleted."""
    left = list[Path]()
    for file in files:
        try:
            file.unlink(missing_ok=True)
        except OSError:
            left.append(file)
    return left
