"""Run user code in threads, with a time limit for every call.

`run_concurrently` is for calls that may run at once, `run_in_order` for calls that must not. An exception is a call's
outcome, `sys.exit` included: it ends the call and not the program. A call that hangs keeps its thread, since Python
cannot stop a thread from outside; `hanging` counts them.
"""

from __future__ import annotations

import contextvars
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from typing import Generic, TypeVar

T = TypeVar("T")
PATIENCE = 0.005
"""Seconds that one thread works through all calls before each remaining call gets its own thread.

Handing a call to a thread costs more than a step of most environments: one thread is faster for many quick calls.
"""
GLANCE = 0.5
"""Longest single wait in seconds. A Ctrl-C just before a wait is noticed only at its end: waits are short."""
NAME = "strop-waiting"
LATE = "took longer than"
"""Part of the message of every TimeoutError raised here."""


class _Worker:
    """A daemon thread that runs one piece of work after another. If it hangs it is abandoned; a daemon thread does not
    keep the process alive."""

    def __init__(self) -> None:
        self.work: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self.thread = threading.Thread(target=self._serve, daemon=True, name=NAME)
        self.thread.start()

    def _serve(self) -> None:
        while True:
            self.work.get()()


class _Local(threading.local):
    """The worker for a thread's `run_in_order` calls: always the same one, for objects that are bound to a thread."""

    worker: _Worker | None = None


_local = _Local()
_idle: list[_Worker] = []
"""Workers without work, kept because starting a thread costs more than waking one."""
_hanging: dict[threading.Thread, str] = {}


class _Calls(Generic[T]):
    """A queue of calls, worked on by one or several workers, and the outcome of each.

    Calls see the context variables of the thread that made this object, and use its number of torch threads.
    """

    def __init__(self, calls: Sequence[Callable[[], T]], names: Sequence[str]) -> None:
        self.pending = deque(enumerate(calls))
        self.names = names
        self.outcomes: dict[int, T | BaseException] = {}
        self.done = threading.Event()
        self._running: dict[int, threading.Thread] = {}
        self._began = time.monotonic()  # when the latest call started
        self._lock = threading.Lock()
        self._is_over = False
        self._context = contextvars.copy_context()
        self._torch_threads = sys.modules["torch"].get_num_threads() if "torch" in sys.modules else None

    def take_all(self) -> None:
        """Run calls until none is left: what a worker does."""
        if self._torch_threads is not None:
            sys.modules["torch"].set_num_threads(self._torch_threads)  # torch keeps this number per thread
        self._context.copy().run(self._take_all)

    def wait(self, seconds: float) -> None:
        """Wait until all calls have returned, or the running one takes longer than `seconds`: then no other starts."""
        while not self.done.wait(min(self._seconds_left(seconds), GLANCE)):
            with self._lock:
                if self._seconds_left(seconds) <= 0.0:
                    self._end()
                    return

    def end(self) -> None:
        """Stop: calls that have not started never start, and those still running count as hanging."""
        with self._lock:
            self._end()

    def _take_all(self) -> None:
        thread = threading.current_thread()
        with self._lock:
            started = self._start_next(thread)
        while started is not None:
            i, call = started
            try:
                outcome: T | BaseException = call()
            except BaseException as error:  # the boundary to a user's code: the caller turns it into data
                outcome = error
            with self._lock:
                self._finish(i, outcome, thread)
                started = self._start_next(thread)

    def _start_next(self, thread: threading.Thread) -> tuple[int, Callable[[], T]] | None:
        if not self.pending:
            return None
        i, call = self.pending.popleft()
        self._running[i], self._began = thread, time.monotonic()
        return i, call

    def _finish(self, i: int, outcome: T | BaseException, thread: threading.Thread) -> None:
        del self._running[i]
        if self._is_over:
            del _hanging[thread]
            thread.name = NAME
            return
        self.outcomes[i] = outcome
        if not self.pending and not self._running:
            self.done.set()

    def _seconds_left(self, seconds: float) -> float:
        return max(self._began + seconds - time.monotonic(), 0.0)

    def _end(self) -> None:
        if self._is_over:
            return
        self._is_over = True
        self.pending.clear()
        for i, thread in self._running.items():
            thread.name = f"strop: {self.names[i]} hangs"
            _hanging[thread] = self.names[i]


def run_concurrently(calls: Sequence[Callable[[], T]], seconds: float, what: str) -> list[T | BaseException]:
    """Run calls concurrently: each one's result in order, or its exception, or a TimeoutError that names `what`.

    A call that hangs does not delay the others. Calls that have not started when the time is up never start.
    """
    if not calls:
        return []
    shared = _Calls(calls, [what] * len(calls))
    deadline = time.monotonic() + seconds
    try:
        _add_worker(shared)
        if not shared.done.wait(min(PATIENCE, seconds)) and seconds > PATIENCE:
            for _ in range(len(shared.pending)):
                _add_worker(shared)
            while not shared.done.wait(min(max(deadline - time.monotonic(), 0.0), GLANCE)):
                if time.monotonic() >= deadline:
                    break
    finally:
        shared.end()
    late = _timeout(what, seconds)
    return [shared.outcomes.get(i, late) for i in range(len(calls))]


def run_in_order(calls: Sequence[Callable[[], T]], seconds: float, names: Sequence[str]) -> list[T | BaseException]:
    """Run calls one at a time: each one's result in order, or its exception; each may take `seconds`.

    All run in the same thread, until one hangs: the calls after it run in another.
    """
    outcomes: list[T | BaseException] = []
    while len(outcomes) < len(calls):
        done = len(outcomes)
        outcomes += _until_late(calls[done:], seconds, names[done:])
    return outcomes


def hanging() -> Counter[str]:
    """How many abandoned calls of each name are still running."""
    return Counter(_hanging.copy().values())


def _until_late(calls: Sequence[Callable[[], T]], seconds: float, names: Sequence[str]) -> list[T | BaseException]:
    """The outcomes up to the first call that takes too long, whose outcome is a TimeoutError."""
    shared = _Calls(calls, names)
    worker = _local.worker if _local.worker is not None and _local.worker.thread.is_alive() else _Worker()
    _local.worker = None
    worker.work.put(shared.take_all)
    try:
        shared.wait(seconds)
    finally:
        shared.end()
    outcomes = [shared.outcomes[i] for i in range(len(shared.outcomes))]
    if len(outcomes) == len(calls):
        _local.worker = worker
        return outcomes
    return [*outcomes, _timeout(names[len(outcomes)], seconds)]


def _add_worker(shared: _Calls[T]) -> None:
    """Let one more worker run calls until none is left."""
    worker = _free_worker()

    def work() -> None:
        shared.take_all()
        _idle.append(worker)

    worker.work.put(work)


def _free_worker() -> _Worker:
    while True:
        try:
            worker = _idle.pop()
        except IndexError:  # looking before would be no help: another thread may take the last one meanwhile
            return _Worker()
        if worker.thread.is_alive():  # a forked process does not have its parent's threads
            return worker


def _timeout(name: str, seconds: float) -> TimeoutError:
    return TimeoutError(f"{name} {LATE} {seconds:g} seconds")
