"""Where a replica lives, and the last words of its log."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from pathlib import Path

STDERR = Path("/proc/self/fd/2")
LAST_LINES = 5
RAYS_OWN = (":job_id:", ":actor_name:", ":task_name:")
"""Lines that Ray writes into a worker's log for itself."""
FATAL = "Fatal Python error:"
"""What Python writes first when it crashes, by SIGSEGV or SIGABRT say; where that was follows, innermost first."""


@dataclass(frozen=True, slots=True)
class Born:
    """Where a replica lives: host, process, and the file of its stderr (empty where the system does not tell)."""

    host: str
    pid: int
    log: str

    @classmethod
    def here(cls) -> Born:
        """This process."""
        return cls(socket.gethostname(), os.getpid(), str(STDERR.resolve()) if STDERR.exists() else "")


def last_words(born: Born | None) -> str:
    """The end of a replica's log, or where it is: its last lines, or from where Python tells of a crash."""
    if born is None or not born.log:
        return ""
    if born.host != socket.gethostname() or not Path(born.log).is_file():
        return f" Its log is {born.log} on {born.host}."
    lines = Path(born.log).read_text(encoding="utf-8", errors="replace").splitlines()
    own = [line.strip() for line in lines if line.strip() and not line.startswith(RAYS_OWN)]
    crash = next((i for i, line in enumerate(own) if line.startswith(FATAL)), None)
    last = own[-LAST_LINES:] if crash is None else own[crash : crash + LAST_LINES]
    return f" The end of {born.log}: {' | '.join(last)}" if last else f" Its log, {born.log}, is empty."
