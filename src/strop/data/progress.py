"""How far a long piece of work is, told every few seconds, and less often as it goes on."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeAlias

Tell: TypeAlias = Callable[[str], None]
EVERY_SECONDS, EVERY_SHARE = 5.0, 0.1
"""Between two lines there are so many seconds, or this share of those since the work began."""


def to_stderr(line: str) -> None:
    """A Tell for where nobody else listens: stdout is for data."""
    print(line, file=sys.stderr, flush=True)


class Progress:
    """Tells how much of a work is done, how fast it goes and how long it takes yet; nothing if that is short."""

    def __init__(self, tell: Tell, what: str, total: int, unit: str = "MB", size: float = 1e6) -> None:
        self._tell, self._what, self._total, self._unit, self._size = tell, what, total, unit, size
        self._begun = self._told = time.monotonic()

    def at(self, done: int) -> None:
        """So much of the total is done."""
        now = time.monotonic()
        if now - self._told < max(EVERY_SECONDS, EVERY_SHARE * (now - self._begun)) or not done:
            return
        self._told = now
        rate = done / (now - self._begun)
        left = max(self._total - done, 0) / rate
        amount = f"{done / self._size:,.0f} of {self._total / self._size:,.0f} {self._unit}"
        self._tell(f"{self._what}: {amount}, {rate / self._size:,.1f} {self._unit}/s, {_time(left)} left")

    def through(self, texts: Iterable[str]) -> Iterator[str]:
        """The texts; their characters are what is done."""
        done = 0
        for text in texts:
            yield text
            done += len(text)
            self.at(done)


def _time(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
