"""Run calls side by side, each with a time limit: no wait of strop is without an end."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from typing import Generic, TypeVar

T = TypeVar("T")
PATIENCE = 0.005
"""Seconds that one thread works through all calls before each of those left gets a thread of its own.

Handing a call to a thread costs more than most environments' steps: a hundred quick ones are done sooner by one.
"""


class _Worker:
    """A daemon thread that runs one piece of work after another. One that hangs is left behind and cannot hold the
    process."""

    def __init__(self) -> None:
        self.work: SimpleQueue[Callable[[], None]] = SimpleQueue()
        threading.Thread(target=self._serve, daemon=True, name="strop-waiting").start()

    def _serve(self) -> None:
        while True:
            self.work.get()()


_idle: list[_Worker] = []
"""Workers without work. Starting a thread costs more than waking one."""


class _Calls(Generic[T]):
    """Calls that several workers take from the front, and what came of each."""

    def __init__(self, calls: Sequence[Callable[[], T]]) -> None:
        self.left = deque(enumerate(calls))
        self.outcomes: dict[int, T | Exception] = {}
        self.num_calls = len(calls)
        self.done = threading.Event()

    def hand_over(self) -> None:
        """One worker more takes calls until none is left."""
        worker = _idle.pop() if _idle else _Worker()

        def work() -> None:
            self._take_all()
            _idle.append(worker)
            if len(self.outcomes) == self.num_calls:
                self.done.set()

        worker.work.put(work)

    def _take_all(self) -> None:
        while self.left:
            try:
                i, call = self.left.popleft()
            except IndexError:  # another worker was quicker
                return
            try:
                self.outcomes[i] = call()
            except Exception as error:  # the boundary to a user's code: the caller turns it into data
                self.outcomes[i] = error


def side_by_side(calls: Sequence[Callable[[], T]], seconds: float, what: str) -> list[T | Exception]:
    """Each call's result in order, or the exception that it raised, or a TimeoutError that names `what`.

    A call that does not end holds up no other. Those that have not begun when the time is over never begin.
    """
    if not calls:
        return []
    shared = _Calls(calls)
    deadline = time.monotonic() + seconds
    shared.hand_over()
    if not shared.done.wait(min(PATIENCE, seconds)):
        for _ in range(len(shared.left)):
            shared.hand_over()
        shared.done.wait(max(deadline - time.monotonic(), 0.0))
    shared.left.clear()
    late = TimeoutError(f"{what} took longer than {seconds:g} seconds")
    return [shared.outcomes.get(i, late) for i in range(len(calls))]
