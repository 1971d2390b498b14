"""After feedback is deleted: what was made of it goes too.

Runs that read it, exports of it, and, where a person is forgotten, the versions that learnt from it and all that go on
from these. Which feedback that is, is noted in the store until all is done, so that whoever comes next completes what a
crash cut off. Only the learner of an assistant may do this.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from pathlib import Path

from strop.assistant.copies import Searched, Walked, are_in_bytes, searched, walked
from strop.assistant.feedback import FeedbackStore
from strop.assistant.home import Assistant
from strop.assistant.needles import Needles, needles_of
from strop.assistant.queue import read_plan
from strop.assistant.removing import remove
from strop.assistant.versions import Versions
from strop.runs.files import sha256

WHY = "it learnt from a person who is forgotten"


@dataclass(frozen=True, slots=True)
class Settled:
    """What went with deleted feedback.

    retired  versions
    runs     in the folder `rounds`, and plans of rounds
    exports  files of `export_feedback`
    unread   files that could not be read, which may hold it: while there are any, it stays noted what is deleted
    left     what could not be deleted, so that it stays noted, too, and to where links led that are deleted
    """

    retired: tuple[int, ...] = ()
    runs: tuple[str, ...] = ()
    exports: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()
    left: tuple[str, ...] = ()


def settle(assistant: Assistant, store: FeedbackStore) -> Settled:
    """Delete what is left of feedback that is deleted."""
    erased = store.erasing.left()
    if not erased:
        return Settled()
    removed = assistant.versions.clear()  # also a version that a crash left without its name
    found = settled(assistant, store, set(erased), {id for id, is_retiring in erased.items() if is_retiring})
    for name in found.runs:  # before the manifests, which say whose they are
        removed += remove(assistant.rounds / name)
    if found.retired:
        with assistant.lock():
            removed += assistant.versions.retire(found.retired, WHY, set(erased))
    for name in found.exports:
        removed += remove(Path(name))
    store.erasing.unexported([name for name in found.exports if not Path(name).exists()])
    store.erasing.unlearnt(_learnt(assistant.versions))
    if not found.unread and not removed.failed:
        store.erasing.done(erased)
    return replace(found, left=tuple(map(str, [*removed.failed, *removed.beyond])))


def require_read(found: Settled) -> None:
    """Raise OSError where a file could not be read that may hold what is deleted, or something of it is left."""
    if found.left:
        raise OSError(f"{', '.join(found.left)} could not be deleted, or only a link led there: delete it by hand.")
    if found.unread:
        raise OSError(f"{', '.join(found.unread)} cannot be read, and may hold what is deleted: make it readable.")


def settled(
    assistant: Assistant, store: FeedbackStore, erased: AbstractSet[str], retiring: AbstractSet[str]
) -> Settled:
    """What goes with this feedback; nothing is changed."""
    if not erased:
        return Settled()
    retired = retired_with(assistant.versions, retiring)
    runs, closed = _runs_of(assistant, erased, set(retired))
    known = store.erasing.exports()
    exports = searched(known, lambda path: _is_still(path, known[path]))
    return Settled(
        retired=tuple(retired),
        runs=tuple(runs),
        exports=tuple(map(str, exports.holding)),
        unread=tuple(map(str, [*closed, *exports.unread])),
    )


def retired_with(versions: Versions, ids: AbstractSet[str]) -> list[int]:
    """The versions that learnt from some of this feedback, those that go on from them, and those that are retired
    already; none where there is no feedback."""
    found = list[int]()
    for number in versions.numbers() if ids else ():
        one = versions.manifest(number)
        has_learnt = not ids.isdisjoint([*one.feedback, *one.replayed])
        if has_learnt or one.retired is not None or one.parent in found:
            found.append(number)
    return found


def _learnt(versions: Versions) -> set[str]:
    """The feedback from which the versions that are there have learnt."""
    found = [one for one in map(versions.manifest, versions.numbers()) if one.retired is None]
    return {id for one in found for id in (*one.feedback, *one.replayed)}


def _runs_of(assistant: Assistant, ids: AbstractSet[str], retired: AbstractSet[int]) -> tuple[list[str], list[Path]]:
    """The names of the runs and plans that hold this feedback, and of all that was made of or on retired versions; and
    the files of others that cannot be read."""
    if not assistant.rounds.is_dir():
        return [], []
    needles = needles_of((), ids, ())
    entries = sorted(entry for entry in assistant.rounds.iterdir() if entry.name[:3].isdecimal())
    rounds = {
        number for number in {int(entry.name[:3]) for entry in entries} if _has_learnt(assistant, number, ids, retired)
    }
    found, closed = list[str](), list[Path]()
    for entry in entries:
        if int(entry.name[:3]) in rounds:
            found.append(entry.name)
            continue
        held = _searched(entry, needles)
        if held.holding:
            found.append(entry.name)
        else:
            closed += held.unread
    return found, closed


def _searched(entry: Path, needles: Needles) -> Searched:
    """Where ids stand in a run or a plan."""
    there = walked(entry) if entry.is_dir() else Walked((entry,), ())
    held = searched(there.files, lambda file: file.is_file() and are_in_bytes(needles, file))
    return Searched(held.holding, (*there.unread, *held.unread))


def _has_learnt(assistant: Assistant, number: int, ids: AbstractSet[str], retired: AbstractSet[int]) -> bool:
    """Whether a round learns, or its version has learnt, from some of this feedback, itself or by who came before."""
    if number in retired:
        return True
    known = list[str]()
    if (plan := read_plan(assistant.round(number).with_suffix(".json"))) is not None:
        if plan.parent in retired:
            return True
        known += [*plan.feedback, *plan.replayed]
    if number in assistant.versions.numbers():
        one = assistant.versions.manifest(number)
        known += [*one.feedback, *one.replayed]
    return not ids.isdisjoint(known)


def _is_still(path: Path, checksum: str) -> bool:
    """Whether a file is as it was written; a link is not, since what it leads to would stay."""
    return not path.is_symlink() and path.is_file() and sha256(path) == checksum
