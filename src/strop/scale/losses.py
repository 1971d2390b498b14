"""Replicas that were lost: why, in words, and how many a run bears."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field

from strop.types import Stopped

WINDOW = 600.0
"""Seconds in which losses count together."""


@dataclass(slots=True)
class Losses:
    """The losses of a run. `most` may come within ten minutes."""

    most: int
    total: int = 0
    _times: deque[float] = field(default_factory=deque)

    def add(self, reason: str) -> None:
        """Count one. Raises Stopped if these are too many."""
        self.total += 1
        now = time.monotonic()
        self._times.append(now)
        while now - self._times[0] > WINDOW:
            self._times.popleft()
        if len(self._times) > self.most:
            raise Stopped(
                f"{len(self._times)} replicas were lost within {WINDOW / 60:.0f} minutes, and "
                f"engine.most_losses={self.most}. The last one: {reason}"
            )


def told(error: BaseException) -> str:
    """Ray's reason for the death of an actor, without its advice and its ids.

    It has the exit code where Python ends the process, SIGTERM included. Of other ends (SIGKILL, a crash, `os._exit`)
    Ray keeps no code, also not in its state API: it says that the connection ended. A crash is told by the log.
    """
    text = " ".join(str(error).split())
    for mark in ("Worker exit detail: ", "The actor is dead because ", "Some common causes"):
        before, found, after = text.partition(mark)
        if found:
            text = before if mark.startswith("Some") else after
    return text.strip().rstrip(".") or type(error).__name__
