"""A run is a folder with `run.sqlite`: its layout, its lock for a single writer, and finding runs by name.

config.json        the resolved config            recipe.py       a copy of the recipe, where there is one
provenance.json    where the run came from        run.sqlite      what happened (store.py)
plan.json          the plan that train printed    lock            held by the only writer
checkpoints/       000040/ and LATEST             failures/       the data that stopped the run
"""

from __future__ import annotations

import difflib
import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, Literal, TypeAlias

from strop.runs.checkpoint import Checkpoints
from strop.runs.files import Occupied, new_folder, replace_text, write_text, writing
from strop.runs.formats import FORMAT, known_format, migrated
from strop.runs.staged import folders_of, is_staged
from strop.runs.store import Store
from strop.types import State

Selector: TypeAlias = int | Literal["latest", "best"]

CONFIG, PROVENANCE, PLAN, DATABASE, LOCK = "config.json", "provenance.json", "plan.json", "run.sqlite", "lock"
SWEEP, CACHE = "sweep.json", "cache"


class Locked(ValueError):
    """Another process is the writer."""


@dataclass(frozen=True, slots=True)
class RunDirectory:
    """One run on disk."""

    path: Path

    @classmethod
    def create(
        cls, path: Path | str, config: Mapping[str, Any], files: Mapping[str, str], cache: Path | None = None
    ) -> RunDirectory:
        """Make a run. `files` maps further file names (recipe.py, provenance.json, tasks.jsonl) to their text. `cache`
        is a folder on the same disk that becomes the run's.

        It is made in a temporary folder and renamed, so that a crash leaves a complete run or none.
        """
        path = Path(path)
        try:
            with new_folder("a new run", path) as folder:
                for name, text in {CONFIG: config_text(config), **files}.items():
                    write_text(folder / name, text)
                (folder / "checkpoints").mkdir()
                if cache is not None:
                    os.rename(cache, folder / CACHE)
                Store.create(folder / DATABASE)
        except Occupied:
            raise already_exists(path) from None
        return cls(path)

    @classmethod
    def create_new(
        cls, path: Path, config: Mapping[str, Any], files: Mapping[str, str], cache: Path | None = None
    ) -> RunDirectory:
        """Make a run in `path`, or in path-2, path-3 ... if that exists."""
        path = claim(path)
        try:
            return cls.create(path, config, files, cache)
        except BaseException:
            give_back(path)
            raise

    @classmethod
    def open(cls, path: Path | str) -> RunDirectory:
        """An existing run."""
        path = Path(path)
        if not is_run(path):
            what = "exists, but has no run.sqlite" if path.exists() else "does not exist"
            what = "has several stages, which are runs" if is_staged(path) else what
            raise ValueError(f"{path} is not a run: it {what}. A run is the folder that strop train --run wrote.")
        return cls(path)

    @property
    def checkpoints(self) -> Checkpoints:
        """Its checkpoints."""
        return Checkpoints(self.path / "checkpoints")

    def config(self) -> dict[str, Any]:
        """The resolved config. Raises ValueError if another version of strop wrote it in another format."""
        try:
            config: dict[str, Any] = json.loads((self.path / CONFIG).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ValueError(f"{self.path / CONFIG} cannot be read: {error}.") from error
        if not isinstance(config, dict):
            raise ValueError(f"{self.path / CONFIG} is damaged: it holds no config.")
        return migrated(config, known_format(self.path, config.pop("format", 0)))

    def provenance(self) -> dict[str, Any]:
        """Where the run came from; empty if that was not written."""
        file = self.path / PROVENANCE
        facts: dict[str, Any] = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
        return facts

    def plan(self) -> dict[str, str]:
        """The plan that `strop train` printed, line by line; empty if the run ended before that."""
        file = self.path / PLAN
        lines: dict[str, str] = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
        return lines

    def write(self, name: str, text: str) -> None:
        """Replace one of its text files atomically (a fork's config.json)."""
        with writing(name, self.path):
            replace_text(self.path / name, text)

    def reader(self) -> Store:
        """Its store for reading, also while it is being written or in a read-only folder."""
        return Store.read(self.path / DATABASE)

    def writer(self) -> Store:
        """Its store for writing; the caller holds the lock."""
        return Store.open(self.path / DATABASE)

    def check(self) -> None:
        """Raise ValueError if a page of its database is damaged."""
        with self.reader() as store:
            store.check()

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the writer's lock, or raise Locked naming its holder. The system frees it when the process ends."""
        with writing("the lock", self.path):
            descriptor = os.open(self.path / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                holder = os.read(descriptor, 32).decode().strip() or "another process"
                raise Locked(
                    f"{self.path} is being written by process {holder}. Wait until it is done, or stop it first."
                ) from None
            with writing("the lock", self.path):
                os.ftruncate(descriptor, 0)
                os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
            yield
        finally:
            os.close(descriptor)

    def is_being_written(self) -> bool:
        """Whether a process holds the lock now."""
        if not (self.path / LOCK).is_file():
            return False
        descriptor = os.open(self.path / LOCK, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
        return False

    def checkpoint_step(self, selector: Selector = "latest") -> int:
        """The step of a checkpoint: a number, the latest, or the best on held-out prompts."""
        there = self.checkpoints.newest_first()
        if not there:
            raise ValueError(f"{self.path} has no checkpoint.")
        if selector == "latest":
            return there[0]
        if selector != "best":
            return selector
        with self.reader() as store:
            best = store.best_step()
        if best is None:
            raise ValueError(f"{self.path} has no best checkpoint: nothing was judged on held-out prompts.")
        return best

    def load(self, selector: Selector = "latest") -> tuple[int, State]:
        """`(step, state)` of a checkpoint, verified; `state["policy"]` is the policy's state."""
        step = self.checkpoint_step(selector)
        return step, self.checkpoints.load(step)


def config_text(config: Mapping[str, Any]) -> str:
    """The text of config.json."""
    return json.dumps({"format": FORMAT, **config}, indent=2, ensure_ascii=False)


def claim(path: Path) -> Path:
    """Create an empty folder for this process alone: `path`, or path-2, path-3 ... if that exists."""
    names = (path if number == 1 else path.with_name(f"{path.name}-{number}") for number in count(1))
    with writing("a new run", path):
        path.parent.mkdir(parents=True, exist_ok=True)
        return next(name for name in names if _was_created(name))


def give_back(path: Path) -> None:
    """Remove a claimed folder in which no run was made."""
    with suppress(OSError):
        path.rmdir()


def _was_created(path: Path) -> bool:
    try:
        path.mkdir()
    except FileExistsError:
        return False
    return True


def already_exists(path: Path) -> ValueError:
    """The error for a folder in which no new run can be made."""
    advice = f", or continue it: strop train --resume --run {path}" if is_run(path) or is_staged(path) else ""
    return ValueError(f"{path} exists and is not empty; it is left as it is. Choose another --run{advice}.")


def is_run(path: Path | str) -> bool:
    """Whether a folder is a run."""
    return (Path(path) / DATABASE).is_file()


def is_sweep(path: Path | str) -> bool:
    """Whether a folder is a sweep: it holds several runs and the list of them."""
    return (Path(path) / SWEEP).is_file()


def started(path: Path) -> RunDirectory | None:
    """The run in this folder, or of a run of several stages the last one that has begun; None if there is none."""
    folders = folders_of(path) if is_staged(path) else [path]
    return next((RunDirectory(folder) for folder in reversed(folders) if is_run(folder)), None)


def find_sweep(name: str, runs: Path = Path("runs")) -> Path | None:
    """The sweep of this name or path, or None. A bare name is looked up in ./runs first."""
    return next((path for path in _candidates(name, runs) if is_sweep(path)), None)


def find_staged(name: str, runs: Path = Path("runs")) -> Path | None:
    """The run of several stages of this name or path, or None. A bare name is looked up in ./runs first."""
    first = next((path for path in _candidates(name, runs) if is_staged(path) or is_run(path)), None)
    return first if first is not None and is_staged(first) else None


def find_run(name: str, runs: Path = Path("runs")) -> RunDirectory:
    """The run of this name or path, of several stages the last that has begun. A bare name is looked up in ./runs
    first."""
    candidates = _candidates(name, runs)
    for path in candidates:
        if (found := started(path)) is not None:
            return found
        if is_staged(path):
            raise ValueError(f"{path}: none of its stages has begun yet.")
    if (sweep := find_sweep(name, runs)) is not None:
        members = ", ".join(sorted(str(entry) for entry in sweep.iterdir() if is_run(entry))[:3]) or "none yet"
        raise ValueError(f"{sweep} is a sweep, not one run. Its runs: {members}.")
    known = sorted(entry.name for entry in runs.iterdir() if is_run(entry) or is_staged(entry)) if runs.is_dir() else []
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.3) or known[:3]
    hint = f" In {runs} there is: {', '.join(near)}." if near else f" {runs} has no runs yet: strop train starts one."
    raise ValueError(f"{' and '.join(map(str, candidates))}: no run there (a run is a folder with {DATABASE}).{hint}")


def names_a_run(text: str, runs: Path = Path("runs")) -> bool:
    """Whether there is a run of this name or path, with or without @ and a checkpoint, or a sweep."""
    names = (text, text.rpartition("@")[0] or text)
    folders = (folder for name in names for folder in (Path(name), runs / name))
    return any(is_run(folder) or is_staged(folder) or is_sweep(folder) for folder in folders)


def _candidates(name: str, runs: Path) -> list[Path]:
    is_bare = Path(name).name == name
    return [runs / name, Path(name)] if is_bare else [Path(name)]


def parse_run(text: str, runs: Path = Path("runs")) -> tuple[RunDirectory, Selector]:
    """`RUN`, `RUN@40`, `RUN@best` or `RUN@latest` as a run and a checkpoint."""
    name, at, choice = text.rpartition("@")
    if not at or is_run(text) or is_staged(text):
        return find_run(text, runs), "latest"
    directory = find_run(name, runs)
    if choice == "best":
        return directory, "best"
    if choice == "latest":
        return directory, "latest"
    if not choice.isdecimal():
        raise ValueError(f"{text}: after @ give a step ({name}@40), best or latest.")
    return directory, int(choice)
