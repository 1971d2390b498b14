"""Write files so that a crash leaves either the old or the new content, and a failure gives one clear message."""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import shutil
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError

from strop.types import storable


class WriteFailed(OSError):
    """A write failed: the message says what was being written, where, why it failed, and how much space is free."""


class Gone(WriteFailed):
    """The run that was being written no longer exists."""


class Occupied(ValueError):
    """There is something already where a new folder was to be made."""


@contextmanager
def writing(what: str, path: Path) -> Iterator[None]:
    """The boundary to the disk: errors of the system, SQLite or safetensors become one `WriteFailed`."""
    try:
        yield
    except WriteFailed:
        raise
    except (OSError, sqlite3.OperationalError, SafetensorError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise WriteFailed(
            f"Could not write {what} in {path}: {reason} ({free_megabytes(path):.0f} MB are free there). "
            "What was saved before is intact; free some space or correct the permission, then continue."
        ) from error


@contextmanager
def removed_on_failure(path: Path) -> Iterator[None]:
    """Delete `path` if the block fails: on a full disk its space is needed to record the failure."""
    try:
        yield
    except BaseException:
        shutil.rmtree(path, ignore_errors=True)
        raise


@contextmanager
def new_folder(what: str, path: Path) -> Iterator[Path]:
    """A folder to fill, which becomes `path` at the end of the block: a crash leaves a complete one or none.

    Raises Occupied if there is something at `path`, also where another process was quicker.
    """
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise Occupied(path)
    temporary = path.with_name(f".creating-{path.name}-{os.getpid()}")
    with writing(what, path), removed_on_failure(temporary):
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        yield temporary
        fsync(temporary)
        try:
            os.rename(temporary, path)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
            raise Occupied(path) from None
        fsync(path.parent)


def free_megabytes(path: Path) -> float:
    """The free space where `path` is, or would be."""
    there = path.absolute()
    while not there.is_dir():
        there = there.parent
    return shutil.disk_usage(there).free / 1e6


def fsync(path: Path) -> None:
    """Wait until a file's bytes, or a folder's names, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_text(path: Path, text: str) -> None:
    """Write a file and wait for the disk. Not atomic: for files inside a folder that is renamed as a whole."""
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write(storable(text))
        file.flush()
        os.fsync(file.fileno())


def replace_text(path: Path, text: str) -> None:
    """Replace a file atomically: a reader, or a crash, sees the old text or the new one."""
    replace_bytes(path, storable(text).encode("utf-8"))


def replace_bytes(path: Path, data: bytes) -> None:
    """As `replace_text`, for a file that is not UTF-8. It keeps its mode, and where root replaces it its owner."""
    temporary = path.with_name(f".writing-{secrets.token_hex(8)}")  # a name that nobody can lay a link at
    try:
        with temporary.open("xb") as file:
            if path.exists():
                _keep_mode(path, file.fileno())
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    fsync(path.parent)


def _keep_mode(path: Path, descriptor: int) -> None:
    """Who may read a file, and whose it is: nobody but root may give a file away."""
    old = path.stat()
    if os.geteuid() == 0:
        os.fchown(descriptor, old.st_uid, old.st_gid)
    os.fchmod(descriptor, stat.S_IMODE(old.st_mode))


def sha256(path: Path) -> str:
    """The checksum of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
