"""Ctrl-C and SIGTERM: once asks for a clean end after the step, twice stops at once."""

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
    """SIGTERM, where it stops at once as Ctrl-C does."""


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
        """Put the handlers back that stood before; once is enough."""
        while self._before:
            signal.signal(*self._before.popitem())

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.requested is not None:
            _stop(number)
        self.requested = signal.Signals(number)
        again = "Ctrl-C again" if number == signal.SIGINT else "A second SIGTERM"
        notice = f"\nStopping after this step, then saving. {again} stops at once; the step is then lost.\n"
        # A handler runs between any two instructions: a plain write is safe there, buffered printing is not.
        os.write(sys.__stderr__.fileno() if sys.__stderr__ else 2, notice.encode())


@contextmanager
def terminable() -> Iterator[None]:
    """Inside, SIGTERM raises Terminated, as Ctrl-C raises KeyboardInterrupt: whoever made files can tidy up."""
    if not _is_main_thread():
        yield
        return
    before = _installed(signal.SIGTERM, lambda number, frame: _stop(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _installed(number: signal.Signals, handler: Callable[[int, FrameType | None], None]) -> Any:
    """Install a handler; the one before, or the system's where Python does not know it."""
    return signal.signal(number, handler) or signal.SIG_DFL


def _is_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


def _stop(number: int) -> NoReturn:
    raise KeyboardInterrupt if number == signal.SIGINT else Terminated
