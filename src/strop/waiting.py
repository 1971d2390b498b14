"""Run calls side by side, each with a time limit: no wait of strop is without an end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from typing import TypeVar

T = TypeVar("T")


class _Worker:
    """A daemon thread that runs one call after another. One that hangs is left behind and cannot hold the process."""

    def __init__(self) -> None:
        self.calls: SimpleQueue[Callable[[], None]] = SimpleQueue()
        threading.Thread(target=self._serve, daemon=True, name="strop-waiting").start()

    def _serve(self) -> None:
        while True:
            self.calls.get()()


_idle: list[_Worker] = []
"""Workers between two calls. Starting a thread costs more than most environments' steps."""


def side_by_side(calls: Sequence[Callable[[], T]], seconds: float, what: str) -> list[T | Exception]:
    """Each call's result in order, or the exception that it raised, or a TimeoutError that names `what`."""
    waits = [_start(call) for call in calls]
    deadline = time.monotonic() + seconds
    late = TimeoutError(f"{what} took longer than {seconds:g} seconds")
    return [wait(max(deadline - time.monotonic(), 0.0), late) for wait in waits]


def _start(call: Callable[[], T]) -> Callable[[float, TimeoutError], T | Exception]:
    """Hand the call to a worker; the result waits for its outcome, `seconds` at most."""
    worker = _idle.pop() if _idle else _Worker()
    done = threading.Event()
    outcome: list[T | Exception] = []

    def run() -> None:
        try:
            outcome.append(call())
        except Exception as error:  # the boundary to a user's code: the caller turns it into data
            outcome.append(error)
        _idle.append(worker)
        done.set()

    def wait(seconds: float, late: TimeoutError) -> T | Exception:
        return outcome[0] if done.wait(seconds) else late

    worker.calls.put(run)
    return wait
