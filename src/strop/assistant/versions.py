"""The versions of an assistant: folders that never change but for their verdict, or until they are retired, and one
small file that says which one serves.

    versions/003/manifest.json   its parent, model, files with checksums, what it learnt from, and the verdict
    versions/003/model/          the model, if it is none that is known by name
    versions/003/diff.jsonl      its greedy answers to the fixed questions, beside its parent's
    serving.json                 the version that serves, and all that ever served, in order

A version is written beside and renamed, and serving.json is replaced as a whole. So a crash leaves the version that
served, or the next one, and never a half of anything.
"""

from __future__ import annotations

import dataclasses
import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from strop.assistant.gate import Verdict
from strop.assistant.removing import Removed, remove
from strop.intervals import Interval
from strop.runs.files import fsync, new_folder, replace_text, sha256, write_text, writing

VERSIONS, SERVING, MANIFEST, MODEL, DIFF = "versions", "serving.json", "manifest.json", "model", "diff.jsonl"
FORMAT = 1
_RETIRING, _ELSEWHERE = ".retiring-", "elsewhere"
"""The folder of what is left of a version, while a link to elsewhere has its name; and in it a link to there."""


@dataclass(frozen=True, slots=True)
class Retired:
    """That a version is no more, why, and since when, in seconds since 1970, UTC."""

    why: str
    when: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a version is.

    number    counts from 0
    parent    the version that it goes on from; None for the first
    model     the name of a known model, or "model" for the folder in its own
    origin    where the model comes from: what it was made of, or the training run and its checkpoint
    files     the sha256 of every file, by its path in the version's folder
    feedback  the ids of the feedback that it learnt from and its ancestors did not
    replayed  the ids of the feedback of its ancestors that it learnt from again
    when      seconds since 1970, UTC
    verdict   of the gate; None before it is judged, and for the first
    retired   that its files are deleted, which is all that is left of it; None while they are there
    """

    number: int
    parent: int | None
    model: str
    origin: str
    files: Mapping[str, str] = field(default_factory=dict)
    feedback: Sequence[str] = ()
    replayed: Sequence[str] = ()
    when: float
    verdict: Verdict | None = None
    retired: Retired | None = None


class DamagedVersion(ValueError):
    """A file of a version is missing or does not match its checksum."""


@dataclass(frozen=True, slots=True)
class Versions:
    """The versions in an assistant's folder."""

    path: Path

    def folder(self, number: int) -> Path:
        """The folder of a version."""
        return self.path / VERSIONS / f"{number:03d}"

    def numbers(self) -> list[int]:
        """All versions, oldest first."""
        there = self.path / VERSIONS
        return sorted(int(entry.name) for entry in there.iterdir() if entry.name.isdecimal()) if there.is_dir() else []

    def manifest(self, number: int) -> Manifest:
        """What a version is. Raises ValueError if there is no such version."""
        if number not in self.numbers():
            there = ", ".join(map(str, self.numbers())) or "none"
            raise ValueError(f"{self.path} has no version {number}; there: {there}.")
        return _manifest(self.folder(number) / MANIFEST)

    @property
    def serving(self) -> int:
        """The version that serves."""
        return int(self._served()["version"])

    @property
    def history(self) -> list[int]:
        """Every version that has served, in order: one comes again after a rollback to it."""
        return [int(number) for number in self._served()["history"]]

    def ancestors(self, number: int) -> list[int]:
        """The version itself, its parent, and so on to the first."""
        found = [number]
        while (parent := self.manifest(found[-1]).parent) is not None:
            found.append(parent)
        return found

    def open_candidate(self) -> int | None:
        """The newest version, if it is a child of the one that serves and not judged yet."""
        newest = self.manifest(self.numbers()[-1])
        is_open = newest.verdict is None and newest.retired is None
        return newest.number if is_open and newest.parent == self.serving else None

    @property
    def stamp(self) -> tuple[int, ...]:
        """Changes whenever another version serves or waits; cheap enough to be asked every second."""
        files = (self.path / SERVING, self.folder(self.numbers()[-1]) / MANIFEST)
        return tuple(part for file in files for part in (file.stat().st_ino, file.stat().st_mtime_ns))

    @contextmanager
    def adding(self, manifest: Manifest) -> Iterator[Path]:
        """A folder to fill, which becomes the version of this manifest at the end of the block; its files are counted.

        A crash leaves a whole version or none.
        """
        with new_folder(f"version {manifest.number}", self.folder(manifest.number)) as folder:
            yield folder
            files = sorted(file for file in folder.rglob("*") if file.is_file())
            for file in files:
                fsync(file)
            sums = {str(file.relative_to(folder)): sha256(file) for file in files}
            write_text(folder / MANIFEST, _text(dataclasses.replace(manifest, files=sums)))

    def judged(self, number: int, verdict: Verdict) -> None:
        """Write the verdict on a version into its manifest."""
        changed = dataclasses.replace(self.manifest(number), verdict=verdict)
        with writing(f"the verdict on version {number}", self.folder(number)):
            replace_text(self.folder(number) / MANIFEST, _text(changed))

    def promote(self, number: int) -> None:
        """Let a version serve. Raises ValueError for one that was not promoted by a verdict, or is damaged."""
        verdict = self.manifest(number).verdict
        if verdict is None or not verdict.promote:
            why = "it is not judged yet" if verdict is None else verdict.why
            raise ValueError(f"version {number} does not serve: {why}")
        self._serve(number, [*self.history, number])

    def rollback(self, number: int) -> None:
        """Let a version serve again. Raises ValueError for one that never served, or is retired or damaged."""
        if number not in self.history:
            self.manifest(number)
            served = ", ".join(map(str, sorted(set(self.history))))
            raise ValueError(f"version {number} never served: a rollback is to one that did: {served}.")
        if number != self.serving:
            self._serve(number, [*self.history, number])

    def finish(self) -> int | None:
        """Complete a promotion that a crash cut off after its verdict, and remove what a crash left; the version."""
        if failed := self.clear().failed:
            raise OSError(f"{', '.join(map(str, failed))} cannot be deleted, which a crash left: delete it by hand.")
        newest = self.manifest(self.numbers()[-1])
        if newest.retired is not None:
            return None
        is_promoted = newest.verdict is not None and newest.verdict.promote
        if not is_promoted or newest.parent != self.serving or newest.number in self.history:
            return None
        self.promote(newest.number)
        return newest.number

    def clear(self) -> Removed:
        """Complete what a crash cut off of `retire`, and remove the versions that it left half made; what is left of
        them. For the only learner."""
        there = self.path / VERSIONS
        for own in sorted(there.glob(f"{_RETIRING}*")):
            if not os.path.lexists(folder := there / own.name.removeprefix(_RETIRING)):
                own.rename(folder)
        half_made = [entry for begins in (".creating-", _RETIRING) for entry in sorted(there.glob(f"{begins}*"))]
        return sum(map(remove, half_made), Removed())

    def start(self) -> None:
        """Let version 0 serve, in a new folder."""
        self._write(0, [0])

    def retire(self, numbers: Sequence[int], why: str, without: AbstractSet[str]) -> Removed:
        """Delete the files of versions but for a manifest that says so, and let an ancestor serve where one did; what
        is left of them, and to where links led.

        The last one that stays serves before a file is deleted. What a crash cut off is completed by another call.
        `without`: ids of feedback that the manifests name no more.
        """
        if self.serving in numbers:
            stays = next(number for number in self.ancestors(self.serving) if number not in numbers)
            self._serve(stays, [*self.history, stays])
        left = Removed()
        for number in sorted(numbers, reverse=True):  # what goes on from a version is found by it
            self._bury(number, why, without)
            entries = [entry for entry in self.folder(number).iterdir() if entry.name != MANIFEST]
            left = sum(map(remove, entries), left)
        return left

    def _bury(self, number: int, why: str, without: AbstractSet[str]) -> None:
        """Write the manifest of a version that is retired: where a link leads to its folder, into one of its own. All
        of that is there before the link goes, so that `clear` completes it; where the link led is in it, and goes
        last."""
        old = self.manifest(number)
        feedback, replayed = ([id for id in ids if id not in without] for ids in (old.feedback, old.replayed))
        retired = old.retired or Retired(why, time.time())
        changed = dataclasses.replace(old, files={}, feedback=feedback, replayed=replayed, retired=retired)
        folder = self.folder(number)
        with writing(f"that version {number} is retired", folder):
            if not folder.is_symlink():
                replace_text(folder / MANIFEST, _text(changed))
                return
            own = folder.with_name(f"{_RETIRING}{folder.name}")
            own.mkdir()
            (own / _ELSEWHERE).symlink_to(folder.resolve())
            write_text(own / MANIFEST, _text(changed))
            fsync(own)
            folder.unlink()
            own.rename(folder)
            fsync(folder.parent)

    def verify(self, number: int) -> None:
        """Raise DamagedVersion if a file of a version is missing or changed, or the version is retired."""
        if (retired := self.manifest(number).retired) is not None:
            raise DamagedVersion(f"version {number} is retired: {retired.why}. It cannot serve again.")
        for name, checksum in self.manifest(number).files.items():
            file = self.folder(number) / name
            if not file.is_file() or sha256(file) != checksum:
                others = ", ".join(str(other) for other in sorted(set(self.history)) if other != number)
                advice = f"Roll back to another one: {others}." if others else "Put a copy of it back."
                raise DamagedVersion(f"{file} is damaged: its bytes do not match their checksum. {advice}")

    def model(self, number: int) -> str:
        """The name or the folder of a version's model, as `policy` takes it."""
        model = self.manifest(number).model
        return str(self.folder(number) / MODEL) if model == MODEL else model

    def has_diff(self, number: int) -> bool:
        """Whether its answers to the fixed questions are there."""
        return (self.folder(number) / DIFF).is_file()

    def diff(self, number: int) -> list[dict[str, str]]:
        """The fixed questions, with the version's greedy answers and its parent's."""
        lines = (self.folder(number) / DIFF).read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines]

    def _served(self) -> dict[str, Any]:
        found: dict[str, Any] = _read(self.path / SERVING)
        return found

    def _serve(self, number: int, history: Sequence[int]) -> None:
        self.verify(number)
        self._write(number, history)

    def _write(self, number: int, history: Sequence[int]) -> None:
        with writing(SERVING, self.path):
            replace_text(self.path / SERVING, json.dumps({"version": number, "history": list(history)}) + "\n")


def first_manifest(model: str, origin: str) -> Manifest:
    """The manifest of version 0."""
    return Manifest(number=0, parent=None, model=model, origin=origin, when=time.time())


def _text(manifest: Manifest) -> str:
    return json.dumps({"format": FORMAT, **dataclasses.asdict(manifest)}, indent=2, ensure_ascii=False) + "\n"


def _manifest(file: Path) -> Manifest:
    fields = _read(file)
    if (found := fields.pop("format", 0)) != FORMAT:
        raise ValueError(f"{file} has format {found}, and this strop reads {FORMAT}: another version wrote it.")
    verdict, retired = fields.pop("verdict"), fields.pop("retired", None)
    return Manifest(
        **fields,
        verdict=_verdict(verdict) if verdict else None,
        retired=Retired(**retired) if retired else None,
    )


def _verdict(fields: Mapping[str, Any]) -> Verdict:
    skills = {name: Interval(**change) for name, change in fields["skills"].items()}
    return Verdict(**{**fields, "preference": Interval(**fields["preference"]), "skills": skills})


def _read(file: Path) -> Any:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"{file} cannot be read: {error}. Put a copy of it back.") from error
