"""Forgets a person in child processes that die, as by a kill, around every change of a file and of the database.

`python die_forgetting.py DIR`: DIR holds an assistant of which `ann` is to be forgotten. For each CALL, in a copy,
a child ends itself before its CALL-th change; then the next process forgets the same person. Prints for each CALL the
files in which "ZEBRA" still stands, what serves, and what the last process names: `7 none 0 picture.bin`, or `whole` at
the end of the line if the child lived.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from strop.assistant import database, forget
from strop.assistant.versions import Versions

ANN = "ann@example.com"


def plan_death(die_at: int) -> None:
    """From now on the process ends before its `die_at`-th change."""
    calls = 0

    def deadly(call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == die_at:
                os._exit(9)
            return call(*args, **kwargs)

        return wrapper

    for name in ("rename", "replace", "unlink", "rmdir", "fsync"):
        setattr(os, name, deadly(getattr(os, name)))
    for module, name in ((database, "emptied"), (database, "transaction")):
        wrapped = deadly(getattr(module, name))
        for place in [one for one in sys.modules.values() if getattr(one, name, None) is getattr(module, name)]:
            setattr(place, name, wrapped)


def die(folder: Path, die_at: int) -> int:
    """The exit code of a child that forgets, and dies."""
    pid = os.fork()
    if pid == 0:
        plan_death(die_at)
        forget(folder, [ANN])
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


if __name__ == "__main__":
    original, call, code = Path(sys.argv[1]), 0, 9
    while code == 9:
        call += 1
        folder = Path(f"{original}-{call}")
        shutil.copytree(original, folder, symlinks=True)
        code = die(folder, call)
        left = sorted(Path(name).name for name in forget(folder, [ANN]).left)
        files = [file for file in folder.rglob("*") if file.is_file() and b"ZEBRA" in file.read_bytes()]
        said = ",".join(file.name for file in files) or "none"
        print(call, said, Versions(folder).serving, ",".join(left), *(["whole"] if code == 0 else []), flush=True)
        shutil.rmtree(folder)
