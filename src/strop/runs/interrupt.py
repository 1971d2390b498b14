"""Ctrl-C and SIGTERM: the first asks for a clean stop after the step, the second stops at once."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, NoReturn

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Terminated(KeyboardInterrupt):
    """SIGTERM as an exception, as KeyboardInterrupt is for Ctrl-C."""


class Interrupt:
    """While entered, the first signal is kept as `requested`; the second raises KeyboardInterrupt, or Terminated.

    Python allows signal handlers in the main thread only; in another one nothing is installed.
    """

    def __init__(self) -> None:
        self.requested: signal.Signals | None = None
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Interrupt:
        if _is_main_thread():
            self._before = {number: _installed(number, self._handle) for number in SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        self.leave()

    def leave(self) -> None:
        """Restore the previous handlers; a second call does nothing."""
        while self._before:
            signal.signal(*self._before.popitem())

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.requested is not None:
            _stop(number)
        self.requested = signal.Signals(number)
        again = "Ctrl-C again" if number == signal.SIGINT else "A second SIGTERM"
        lost = "what was done since the last checkpoint is then lost"
        notice = f"\nStopping after this step, then saving. {again} stops at once; {lost}.\n"
        # A handler runs between any two instructions: a plain write is safe there, buffered printing is not.
        os.write(sys.__stderr__.fileno() if sys.__stderr__ else 2, notice.encode())


@contextmanager
def terminable() -> Iterator[None]:
    """Inside, SIGTERM raises Terminated, as Ctrl-C raises KeyboardInterrupt, so that temporary files are cleaned up."""
    if not _is_main_thread():
        yield
        return
    before = _installed(signal.SIGTERM, lambda number, frame: _stop(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _installed(number: signal.Signals, handler: Callable[[int, FrameType | None], None]) -> Any:
    """Install a handler and return the previous one, or the system's default if Python does not know it."""
    return signal.signal(number, handler) or signal.SIG_DFL


def _is_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


def _stop(number: int) -> NoReturn:
    raise KeyboardInterrupt if number == signal.SIGINT else Terminated
