"""Checkpoints: `checkpoints/000040/` holds the state after 40 steps, and `LATEST` names the newest.

A checkpoint is written to a temporary folder, fsynced and renamed into place. So a crash or a full disk leaves the
older ones and `LATEST` untouched.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from strop.runs.files import fsync, removed_on_failure, replace_text, sha256, write_text, writing
from strop.runs.tree import unpack
from strop.types import State

TENSORS, TREE, CHECKSUMS, LATEST = "tensors.safetensors", "state.json", "checksums.json", "LATEST"
KEEP_ALL = "KEEP_ALL"


class DamagedCheckpoint(ValueError):
    """A file of a checkpoint is missing or does not match its checksum."""


@dataclass(frozen=True, slots=True)
class Checkpoints:
    """The checkpoints of one run, in `path`."""

    path: Path

    def directory(self, step: int) -> Path:
        """The folder of the checkpoint after `step` steps."""
        return self.path / f"{step:06d}"

    def steps(self) -> list[int]:
        """The steps that have a checkpoint, oldest first."""
        if not self.path.is_dir():
            return []
        return sorted(int(entry.name) for entry in self.path.iterdir() if entry.name.isdecimal() and entry.is_dir())

    def files(self) -> list[Path]:
        """The checkpoint files of a run that another program trained, oldest first."""
        return sorted(file for file in self.path.glob("[0-9]*") if file.is_file())

    def newest_first(self) -> list[int]:
        """The checkpoints to resume from, newest first: the one in `LATEST` and older ones. Newer ones are ignored."""
        steps = self.steps()[::-1]
        marker = self.path / LATEST
        if not marker.is_file():
            return steps
        text = marker.read_text(encoding="utf-8").strip()
        return [step for step in steps if not text.isdecimal() or step <= int(text)]

    def save(self, step: int, state: State) -> None:
        """Write the checkpoint of `step` and make it the latest; an existing one of this step is replaced."""
        from safetensors.torch import save_file  # torch is slow to load, and most readers of a run need no tensor

        from strop.runs.state import pack

        final = self.directory(step)
        temporary = self.path / f".writing-{final.name}"
        with writing(f"checkpoint {final.name}", self.path), removed_on_failure(temporary):
            _empty_directory(temporary)
            tensors, tree = pack(state)
            save_file(tensors, temporary / TENSORS)
            fsync(temporary / TENSORS)
            write_text(temporary / TREE, json.dumps(tree))
            write_text(temporary / CHECKSUMS, json.dumps({name: sha256(temporary / name) for name in (TENSORS, TREE)}))
            fsync(temporary)
            self._remove(step)
            os.rename(temporary, final)
            fsync(self.path)
            self.mark_latest(step)

    def load(self, step: int) -> State:
        """The state of a checkpoint, its checksums verified."""
        from safetensors.torch import load_file

        # load_file maps the file; a copy stays whole whatever happens to the file later.
        return self._load(step, lambda file: {name: tensor.clone() for name, tensor in load_file(file).items()})

    def load_arrays(self, step: int) -> State:
        """The same state with numpy arrays for tensors: to show numbers, without torch."""
        from safetensors.numpy import load_file

        return self._load(step, load_file)

    def _load(self, step: int, read: Callable[[Path], Mapping[str, Any]]) -> State:
        self.verify(step)
        directory = self.directory(step)
        tree = json.loads((directory / TREE).read_text(encoding="utf-8"))
        state: State = unpack(tree, read(directory / TENSORS))
        return state

    def held(self, step: int) -> list[str]:
        """The ids of the episodes that the memory of a checkpoint needs."""
        tree = json.loads((self.directory(step) / TREE).read_text(encoding="utf-8"))
        held: list[str] = tree["held"]
        return held

    def verify(self, step: int) -> None:
        """Raise if the checkpoint is missing or damaged."""
        directory = self.directory(step)
        if step not in self.steps():
            there = ", ".join(map(str, self.steps())) or "none"
            raise ValueError(f"No checkpoint {step} in {self.path}; there: {there}.")
        others = ", ".join(f"RUN@{other}" for other in self.steps() if other != step)
        advice = f"Use an older one: {others}." if others else "No other checkpoint is left."
        marker = directory / CHECKSUMS
        checksums = _read_checksums(marker)
        if checksums is None:
            raise DamagedCheckpoint(f"{marker} is damaged: it names no checksums. {advice}")
        for name, checksum in checksums.items():
            file = directory / name
            if not file.is_file() or sha256(file) != checksum:
                raise DamagedCheckpoint(f"{file} is damaged: its bytes do not match their checksum. {advice}")

    def mark_latest(self, step: int) -> None:
        """Make `LATEST` name this step, atomically."""
        with writing(LATEST, self.path):
            replace_text(self.path / LATEST, f"{self.directory(step).name}\n")

    @property
    def keeps_all(self) -> bool:
        """Whether every checkpoint is kept."""
        return (self.path / KEEP_ALL).is_file()

    def keep_all(self) -> None:
        """Keep every checkpoint from now on, also after a resume: a marker file says so until it is deleted."""
        with writing(KEEP_ALL, self.path):
            replace_text(self.path / KEEP_ALL, "every checkpoint of this run is kept while this file is here\n")

    def prune(self, keep: set[int]) -> None:
        """Remove the checkpoints of all other steps."""
        for step in self.steps():
            if step not in keep:
                self._remove(step)

    def clean(self) -> None:
        """Remove what an interrupted save or removal left. Only for the writer that holds the run's lock."""
        for entry in self.path.glob(".*"):
            if entry.is_dir():
                shutil.rmtree(entry)
            else:
                entry.unlink()

    def _remove(self, step: int) -> None:
        """Rename first, so that a crash never leaves half a checkpoint under its number."""
        directory = self.directory(step)
        if directory.exists():
            doomed = self.path / f".removing-{directory.name}"
            shutil.rmtree(doomed, ignore_errors=True)
            os.rename(directory, doomed)
            shutil.rmtree(doomed)


def _read_checksums(path: Path) -> dict[str, str] | None:
    """The checksums by file name; None if the file does not hold them."""
    try:
        checksums = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    is_complete = isinstance(checksums, dict) and checksums.keys() == {TENSORS, TREE}
    return checksums if is_complete else None


def _empty_directory(path: Path) -> None:
    if path.exists():
        shutil.rmtree(path)
    path.mkdir(parents=True)
