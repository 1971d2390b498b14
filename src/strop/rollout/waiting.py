"""Run people's calls in threads, each with a time limit: no wait of strop is without an end.

`side_by_side` is for calls that may run at once, `in_order` for calls that must not. Whatever a call raises is its
outcome, `sys.exit` too: it ends the call and not the program. A call that hangs keeps its thread, since Python cannot
end one from outside; `hanging` counts them.
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
"""Seconds that one thread works through all calls before each of those left gets a thread of its own.

Handing a call to a thread costs more than most environments' steps: a hundred quick ones are done sooner by one.
"""
GLANCE = 0.5
"""Seconds of one wait. A Ctrl-C that comes just before a wait is seen at its end, so a long one is many short ones."""
NAME = "strop-waiting"
LATE = "took longer than"
"""Stands in the words of every TimeoutError from here."""


class _Worker:
    """A daemon thread that runs one piece of work after another. One that hangs is left behind and cannot hold the
    process."""

    def __init__(self) -> None:
        self.work: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self.thread = threading.Thread(target=self._serve, daemon=True, name=NAME)
        self.thread.start()

    def _serve(self) -> None:
        while True:
            self.work.get()()


class _Own(threading.local):
    """The worker that a thread's calls `in_order` run in: always the same one, for what is bound to a thread."""

    worker: _Worker | None = None


_own = _Own()
_idle: list[_Worker] = []
"""Workers without work. Starting a thread costs more than waking one."""
_hanging: dict[threading.Thread, str] = {}


class _Calls(Generic[T]):
    """Calls that one or several workers take from the front, and what came of each.

    They see the context variables of the thread that made this, and compute with its number of torch threads.
    """

    def __init__(self, calls: Sequence[Callable[[], T]], names: Sequence[str]) -> None:
        self.left = deque(enumerate(calls))
        self.names = names
        self.outcomes: dict[int, T | BaseException] = {}
        self.done = threading.Event()
        self._running: dict[int, threading.Thread] = {}
        self._began = time.monotonic()  # the newest call that runs
        self._lock = threading.Lock()
        self._is_over = False
        self._context = contextvars.copy_context()
        self._torch_threads = sys.modules["torch"].get_num_threads() if "torch" in sys.modules else None

    def take_all(self) -> None:
        """What a worker does: call until none is left."""
        if self._torch_threads is not None:
            sys.modules["torch"].set_num_threads(self._torch_threads)  # torch keeps one number a thread
        self._context.copy().run(self._take_all)

    def wait(self, seconds: float) -> None:
        """Until all have ended, or the one that runs took longer than that: then nothing more begins."""
        while not self.done.wait(min(self._left(seconds), GLANCE)):
            with self._lock:
                if self._left(seconds) <= 0.0:
                    self._end()
                    return

    def end(self) -> None:
        """What has not begun never begins, and what has not ended hangs from now on."""
        with self._lock:
            self._end()

    def _take_all(self) -> None:
        thread = threading.current_thread()
        with self._lock:
            taken = self._take(thread)
        while taken is not None:
            i, call = taken
            try:
                outcome: T | BaseException = call()
            except BaseException as error:  # the boundary to a user's code: the caller turns it into data
                outcome = error
            with self._lock:
                self._put(i, outcome, thread)
                taken = self._take(thread)

    def _take(self, thread: threading.Thread) -> tuple[int, Callable[[], T]] | None:
        if not self.left:
            return None
        taken = self.left.popleft()
        self._running[taken[0]], self._began = thread, time.monotonic()
        return taken

    def _put(self, i: int, outcome: T | BaseException, thread: threading.Thread) -> None:
        del self._running[i]
        if self._is_over:
            del _hanging[thread]
            thread.name = NAME
            return
        self.outcomes[i] = outcome
        if not self.left and not self._running:
            self.done.set()

    def _left(self, seconds: float) -> float:
        return max(self._began + seconds - time.monotonic(), 0.0)

    def _end(self) -> None:
        if self._is_over:
            return
        self._is_over = True
        self.left.clear()
        for i, thread in self._running.items():
            thread.name = f"strop: {self.names[i]} hangs"
            _hanging[thread] = self.names[i]


def side_by_side(calls: Sequence[Callable[[], T]], seconds: float, what: str) -> list[T | BaseException]:
    """Each call's result in order, or what it raised, or a TimeoutError that names `what`.

    A call that does not end holds up no other. Those that have not begun when the time is over never begin.
    """
    if not calls:
        return []
    shared = _Calls(calls, [what] * len(calls))
    deadline = time.monotonic() + seconds
    try:
        _hand_over(shared)
        if not shared.done.wait(min(PATIENCE, seconds)) and seconds > PATIENCE:
            for _ in range(len(shared.left)):
                _hand_over(shared)
            while not shared.done.wait(min(max(deadline - time.monotonic(), 0.0), GLANCE)):
                if time.monotonic() >= deadline:
                    break
    finally:
        shared.end()
    late = _late(what, seconds)
    return [shared.outcomes.get(i, late) for i in range(len(calls))]


def in_order(calls: Sequence[Callable[[], T]], seconds: float, names: Sequence[str]) -> list[T | BaseException]:
    """What each call gives, one at a time in their order, each with `seconds` of its own.

    They run in a thread that stays the same, until one hangs: those behind it run in another.
    """
    outcomes: list[T | BaseException] = []
    while len(outcomes) < len(calls):
        ended = len(outcomes)
        outcomes += _until_late(calls[ended:], seconds, names[ended:])
    return outcomes


def hanging() -> Counter[str]:
    """How many calls of each name were given up and still run."""
    return Counter(_hanging.copy().values())


def _until_late(calls: Sequence[Callable[[], T]], seconds: float, names: Sequence[str]) -> list[T | BaseException]:
    """The outcomes up to the first call that is late, and of that one the TimeoutError."""
    shared = _Calls(calls, names)
    worker = _own.worker if _own.worker is not None and _own.worker.thread.is_alive() else _Worker()
    _own.worker = None
    worker.work.put(shared.take_all)
    try:
        shared.wait(seconds)
    finally:
        shared.end()
    outcomes = [shared.outcomes[i] for i in range(len(shared.outcomes))]
    if len(outcomes) == len(calls):
        _own.worker = worker
        return outcomes
    return [*outcomes, _late(names[len(outcomes)], seconds)]


def _hand_over(shared: _Calls[T]) -> None:
    """One worker more takes calls until none is left."""
    worker = _waiting_worker()

    def work() -> None:
        shared.take_all()
        _idle.append(worker)

    worker.work.put(work)


def _waiting_worker() -> _Worker:
    while _idle:
        worker = _idle.pop()
        if worker.thread.is_alive():  # a process that was forked has none of its parent's threads
            return worker
    return _Worker()


def _late(name: str, seconds: float) -> TimeoutError:
    return TimeoutError(f"{name} {LATE} {seconds:g} seconds")
