"""Ctrl-C: once asks for a clean end after the step, twice stops at once."""

from __future__ import annotations

import os
import signal
import sys
import threading
from types import FrameType, TracebackType
from typing import Any

_NOTICE = "\nStopping after this step, then saving. Ctrl-C again stops at once; the step is then lost.\n"


class Interrupt:
    """While entered, the first SIGINT sets `requested` and the second raises KeyboardInterrupt.

    Python allows signal handlers in the main thread only; in another one nothing is installed.
    """

    def __init__(self) -> None:
        self.requested = False
        self._before: Any = None
        self._installed = False

    def __enter__(self) -> Interrupt:
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGINT, self._handle)
            self._installed = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._installed:
            signal.signal(signal.SIGINT, self._before)
            self._installed = False

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True
        # A handler runs between any two instructions: a plain write is safe there, buffered printing is not.
        os.write(sys.__stderr__.fileno() if sys.__stderr__ else 2, _NOTICE.encode())
