"""Forget people: everything that is kept of them goes, from every copy, and so do the weights that learnt from them.

0. Keys of theirs go, and what is being answered is not kept: nothing new of them comes in.
1. Files that no list names, such as a copy of a database or a log, lose the lines and rows that hold their texts.
2. Files from which these cannot be taken, or that cannot be read, are noted (`leftovers`).
3. `memory.sqlite` and `feedback.sqlite` lose their rows, and note which feedback is gone.
4. Versions that learnt from it are retired, runs and exports of it deleted (`settling`).
5. Every file of the folder is searched once more, when the databases are closed.

A crash at any moment leaves either the rows, by which all else is found, or the notes: the same call completes it. A
file that cannot be read or changed holds nothing up: it is named at the end.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from strop.assistant.copies import Searched, walked
from strop.assistant.feedback import FeedbackStore
from strop.assistant.home import Assistant
from strop.assistant.keys import Keys
from strop.assistant.memory import FILE as MEMORY
from strop.assistant.memory import MemoryStore
from strop.assistant.quarantine import read_by_hand, write_by_hand
from strop.assistant.removing import Removed, beyond, remove
from strop.assistant.settings import write_settings
from strop.assistant.settling import Settled, settle, settled
from strop.assistant.subjects import Subjects, chosen, keyless, names_of, owners_of, subjects_of
from strop.assistant.taking_out import (
    but_written,
    copied_weights,
    deleted,
    found_in,
    found_in_exports,
    is_copy,
    named,
    taken_out,
)
from strop.assistant.versions import VERSIONS


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
              only a link leads or led, exports that were changed since, and those that are called like them
    unread    files and folders that could not be read, in which something of them may stand
              Both with those of people who were forgotten before, until somebody has changed, moved or deleted them
    keyless   where people have keys: the answers, feedback and facts that are left and no key's person has
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
    unread: tuple[str, ...]
    keyless: int


def forget(path: Path | str, users: Sequence[str], *, without_keys: bool = False, dry_run: bool = False) -> Forgotten:
    """Forget people by the names that clients gave (`user`, `rater`), or by the keys of their sessions.

    `without_keys`, where people have keys: also all whose name is neither that of a key nor of a trusted rater, such as
    who wrote before there were keys. `dry_run` deletes nothing, and says what would be deleted; databases of an earlier
    strop are brought up to this one. Raises ValueError if the folder is no assistant, or while another process learns,
    WriteFailed while another one keeps on reading. The stores of the folder are read as files: no other part of the
    same process may have them open.
    """
    assistant = Assistant(Path(path))
    with assistant.learner():
        with ExitStack() as opened:
            store, memory = opened.enter_context(assistant.feedback()), opened.enter_context(_memory(assistant))
            owners = owners_of(assistant, store)
            if without_keys and owners is None:
                raise ValueError(
                    "there never were keys here, so all are without one: say who is forgotten by their names."
                )
            if not dry_run:
                _shut(assistant, store, memory, users)
            names = names_of(store, users)
            if without_keys:
                names = list(dict.fromkeys([*names, *keyless(store, memory, owners or set())]))
            who = chosen(assistant, store, memory, users, names)
            went = (_planned if dry_run else _done)(assistant, store, memory, who)
            others = {} if owners is None else keyless(store, memory, owners)
        # the stores are closed: a process that reads these files loses its locks on them
        copies, left = (_found if dry_run else _left)(assistant, went)
        return Forgotten(
            answers=len(went.who.doomed.answers),
            feedback=len(went.who.doomed.feedback),
            facts=len(went.who.facts),
            retired=went.settled.retired,
            serving=assistant.versions.serving,
            runs=went.settled.runs,
            exports=went.settled.exports,
            copies=named(assistant, [*copies, *went.copies]),
            left=named(assistant, left.holding),
            unread=named(assistant, [file for file in left.unread if file not in left.holding]),
            keyless=sum(others.values()),
        )


def _found(assistant: Assistant, went: _Went) -> tuple[Sequence[Path], Searched]:
    """The copies from which something would be taken, and what cannot be read."""
    found = found_in(assistant, went.who.needles)
    return [file for file in found.holding if is_copy(assistant, file)], Searched((), found.unread) + went.left


def _left(assistant: Assistant, went: _Went) -> tuple[Sequence[Path], Searched]:
    """Where something of them is left, or may be: it is noted."""
    left = found_in(assistant, went.who.needles)
    with assistant.feedback() as store:
        left += found_in_exports(assistant, store.erasing.exports(), went.who.needles) + went.left
        store.leftovers.note(but_written(assistant, left), went.who.needles)
    return (), left


# ---------------------------------------------------------------- what goes


@dataclass(frozen=True, slots=True)
class _Went:
    """What is deleted.

    who      with what came in while it was deleted
    settled  what was made of it
    copies   of weights, and those from which what they wrote is taken
    left     what could not be deleted or read
    """

    who: Subjects
    settled: Settled
    copies: Sequence[Path]
    left: Searched


def _shut(assistant: Assistant, store: FeedbackStore, memory: MemoryStore | None, users: Sequence[str]) -> None:
    """Nobody comes in as these people, and what is on its way is not kept."""
    with assistant.lock():
        keys = Keys(assistant.path)
        for name in {one.name for one in keys.all()} & set(users):
            keys.remove(name)
    store.erasing.forget_under_way()
    if memory is not None:
        memory.forget_under_way()


def _planned(assistant: Assistant, store: FeedbackStore, memory: MemoryStore | None, who: Subjects) -> _Went:
    """What would be deleted."""
    found = _settled(assistant, store, who)
    weights = copied_weights(assistant, found)
    return _Went(who, found, weights.holding, Searched((), weights.unread))


def _done(assistant: Assistant, store: FeedbackStore, memory: MemoryStore | None, who: Subjects) -> _Went:
    """Delete it."""
    entries = [*assistant.path.rglob("*"), *walked(assistant.path).files, *store.erasing.exports()]
    before = store.leftovers.there(entries)
    found = _settled(assistant, store, who)
    weights = copied_weights(assistant, found)
    taken, kept = taken_out(assistant, who.doomed, who.names, who.needles), deleted(weights.holding)
    exports, going = found_in_exports(assistant, store.erasing.exports(), who.needles), _going(assistant, found)
    left = before + exports + Searched((*kept, *(path for one in going for path in beyond(one))), weights.unread)
    store.leftovers.note(but_written(assistant, left + taken.left, going), who.needles)
    went = _rows_deleted(assistant, store, memory, who)
    copies = [*taken.copies, *(file for file in weights.holding if file not in kept)]
    if went != who:
        late = taken_out(assistant, went.doomed, went.names, went.needles)
        store.leftovers.note(but_written(assistant, left + taken.left + late.left, going), went.needles)
        copies += late.copies
    cleared = _clear(assistant)
    found = settle(assistant, store)
    store.erasing.rebuild()
    if memory is not None:
        memory.rebuild()
    kept += [*cleared.failed, *cleared.beyond, *map(Path, found.left)]
    unread = [*weights.unread, *map(Path, found.unread)]
    return _Went(went, found, copies, _still_there(before) + Searched(tuple(kept), tuple(unread)))


def _rows_deleted(assistant: Assistant, store: FeedbackStore, memory: MemoryStore | None, who: Subjects) -> Subjects:
    """Delete what the stores keep of them, and what is set of them; with what came in since it was chosen."""
    facts = [] if memory is None else memory.forget_all(who.names)
    _names_taken_out(assistant, who.users, [*who.doomed.feedback, *who.names])
    gone = store.erasing.erase(who.doomed, is_retiring=True)
    late = [text for text in facts if text not in who.facts]
    if gone == who.doomed and not late:
        return who
    return subjects_of(assistant, store, memory, who.users, who.names, gone, [*who.facts, *late])


def _going(assistant: Assistant, found: Settled) -> list[Path]:
    """Files and folders that are about to be deleted."""
    going = [*map(Path, found.exports), *(assistant.rounds / name for name in found.runs)]
    going += [assistant.versions.folder(number) for number in found.retired]
    return [*going, *assistant.rounds.rglob(".creating-*"), *(assistant.path / VERSIONS).glob(".creating-*")]


def _still_there(noted: Searched) -> Searched:
    """What was noted before, but for what is deleted meanwhile."""
    return Searched(tuple(filter(os.path.lexists, noted.holding)), tuple(filter(os.path.lexists, noted.unread)))


def _settled(assistant: Assistant, store: FeedbackStore, who: Subjects) -> Settled:
    """What was made of it, before it goes."""
    erased = {*who.doomed.feedback, *store.erasing.left()}
    return settled(assistant, store, erased, erased)


def _clear(assistant: Assistant) -> Removed:
    """Remove what a learner that was killed left half made, of whomever; what is left of it."""
    return sum(map(remove, sorted(assistant.rounds.rglob(".creating-*"))), assistant.versions.clear())


def _names_taken_out(assistant: Assistant, users: Sequence[str], names: Sequence[str]) -> None:
    """Remove that these people are trusted, and what was decided by hand of them and their words."""
    with assistant.lock():
        if (decided := read_by_hand(assistant.path)) != (left := decided.reset(names)):
            write_by_hand(assistant.path, left)
        settings = assistant.settings
        trusted = [name for name in settings.trusted if name not in {*users, *names}]
        if trusted != list(settings.trusted):
            write_settings(assistant.path, replace(settings, trusted=trusted))


@contextmanager
def _memory(assistant: Assistant) -> Iterator[MemoryStore | None]:
    """The memory without an encoder, if there is one."""
    with ExitStack() as opened:
        file = assistant.path / MEMORY
        yield opened.enter_context(MemoryStore(file)) if file.exists() else None
