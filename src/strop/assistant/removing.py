"""Delete files and folders of an assistant: links are deleted and never followed, and a failure holds nothing up."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Removed:
    """What is left.

    failed  what could not be deleted
    beyond  to where the links led that are deleted: it may be somebody else's, and nothing tells of it any more
    """

    failed: tuple[Path, ...] = ()
    beyond: tuple[Path, ...] = ()

    def __add__(self, other: Removed) -> Removed:
        return Removed(self.failed + other.failed, self.beyond + other.beyond)


def remove(path: Path) -> Removed:
    """Delete a file, a link, or a folder with all that is in it; what is gone already is no failure."""
    led, failed = beyond(path), list[Path]()

    def note(_: object, name: str, error: tuple[object, BaseException, object]) -> None:
        if not isinstance(error[1], FileNotFoundError):
            failed.append(Path(name))

    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, onerror=note)
    else:
        try:
            path.unlink(missing_ok=True)
        except OSError:
            failed.append(path)
    inmost = [one for one in failed if not any(one in other.parents for other in failed)]
    return Removed(tuple(inmost), led)


def beyond(path: Path) -> tuple[Path, ...]:
    """To where the links lead that go with a file or a folder, outside of it."""
    here = path.parent.resolve() / path.name
    led = (link.resolve() for link in _links(path) if _leads(link))
    return tuple(one for one in led if not one.is_relative_to(here))


def _leads(link: Path) -> bool:
    """Whether there is something, also where that is closed to us."""
    try:
        return link.exists()
    except OSError:
        return True


def _links(path: Path) -> list[Path]:
    """The links in a folder, or the path itself where it is one."""
    if path.is_symlink():
        return [path]
    return [one for one in sorted(path.rglob("*")) if one.is_symlink()] if path.is_dir() else []
