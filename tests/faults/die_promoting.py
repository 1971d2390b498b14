"""Adds, judges and promotes a version in child processes that die, as by a kill, around a rename or an fsync.

`python die_promoting.py DIR FIRST STOP`: for each CALL of the range, in DIR-CALL-before and DIR-CALL-after, a child
ends itself before, or after, its CALL-th os.rename, os.replace or os.fsync. Prints for each what serves, whether every
version is whole, and what serves once the next process has come: `CALL before 0 True 1`, or `whole` at the end of the
line if the child lived.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from death import plan_death

from strop.assistant.gate import decide
from strop.assistant.versions import MODEL, Manifest, Versions, first_manifest


def new(path: Path) -> Versions:
    """An assistant's folder with version 0."""
    versions = Versions(path)
    with versions.adding(first_manifest("model", "a test")) as folder:
        write(folder, "zero")
    versions.start()
    return versions


def write(folder: Path, text: str) -> None:
    (folder / MODEL).mkdir()
    (folder / MODEL / "weights").write_text(text)


def promote(versions: Versions) -> None:
    """What a process does that finds the folder as it is: the rest of what is left to do."""
    versions.finish()
    if 1 not in versions.numbers():
        with versions.adding(Manifest(number=1, parent=0, model="model", origin="a test", when=1.0)) as folder:
            write(folder, "one")
    if versions.open_candidate() == 1:
        versions.judged(1, decide([1.0] * 60))
    versions.finish()


def is_whole(versions: Versions) -> bool:
    for number in versions.numbers():
        versions.verify(number)
    return True


def die(versions: Versions, die_at: int, after: bool) -> int:
    """The exit code of a child that promotes, and dies."""
    pid = os.fork()
    if pid == 0:
        plan_death(die_at, after)
        promote(versions)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


if __name__ == "__main__":
    _, directory, first, stop = sys.argv
    for call in range(int(first), int(stop)):
        for after in (False, True):
            place = "after" if after else "before"
            versions = new(Path(f"{directory}-{call}-{place}"))
            code = die(versions, call, after)
            assert code in (0, 9), f"the child ended with {code}"
            serving, whole = versions.serving, is_whole(versions)
            promote(versions)
            assert is_whole(versions)
            print(call, place, serving, whole, versions.serving, "whole" if code == 0 else "", flush=True)
