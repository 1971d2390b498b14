"""Who may use a policy's weights: any number of threads read them, or one changes them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

PATIENCE = 3600.0
"""Seconds that a thread waits for the others before it raises TimeoutError."""
GLANCE = 0.5
"""Longest single wait in seconds. A Ctrl-C just before a wait is noticed only at its end: waits are short."""


class WeightsLock:
    """A lock for reading or for changing weights.

    A thread that waits to change them goes before later readers, so that steady readers do not keep it waiting. Within
    one of the two contexts a thread must not enter either again.
    """

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._reading: set[threading.Thread] = set()
        self._changing: set[threading.Thread] = set()
        self._waiting: set[threading.Thread] = set()

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Within this context the weights stay as they are.

        Raises TimeoutError after an hour of waiting, and RuntimeError if this thread is within a context already.
        """
        me = self._newcomer()
        try:
            with self._condition:
                self._wait("read", lambda: not self._changing and not self._waiting)
                self._reading.add(me)
            yield
        finally:
            self._leave(me)

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Within this context no other thread reads or changes the weights. Raises as `reading` does."""
        me = self._newcomer()
        try:
            with self._condition:
                self._waiting.add(me)
                self._wait("change", lambda: not self._changing and not self._reading)
                self._waiting.remove(me)
                self._changing.add(me)
            yield
        finally:
            self._leave(me)

    @property
    def is_wanted(self) -> bool:
        """Whether a thread waits to change the weights. Whoever reads them on and on lets it in when this is true."""
        with self._condition:
            return bool(self._waiting)

    def __deepcopy__(self, memo: dict[int, object]) -> WeightsLock:
        """A copied policy has weights, and so a lock, of its own."""
        return WeightsLock()

    def _newcomer(self) -> threading.Thread:
        """This thread, if it is not in the lock."""
        me = threading.current_thread()
        if me in self._reading or me in self._changing:
            raise RuntimeError(
                f"the thread {me.name} is within lock.reading() or lock.changing() of this policy already, and would "
                "wait for itself: leave that context first."
            )
        return me

    def _wait(self, wish: str, is_free: Callable[[], bool]) -> None:
        began = time.monotonic()
        while not self._condition.wait_for(is_free, GLANCE):
            if time.monotonic() - began >= PATIENCE:
                raise TimeoutError(
                    f"waited {PATIENCE:g} s to {wish} a policy's weights. They are read by: {_names(self._reading)}; "
                    f"changed by: {_names(self._changing)}; waiting to change them: {_names(self._waiting)}. Find out "
                    "why these threads do not go on."
                )

    def _leave(self, me: threading.Thread) -> None:
        """Take this thread out, however far it has come: an interrupt may end the wait at any point."""
        with self._condition:
            for threads in (self._reading, self._changing, self._waiting):
                threads.discard(me)
            self._condition.notify_all()


def _names(threads: set[threading.Thread]) -> str:
    return ", ".join(sorted(thread.name for thread in threads)) or "no thread"
