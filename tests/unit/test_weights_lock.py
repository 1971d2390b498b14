"""Many threads read a policy's weights at once, or one changes them; whatever happens, the lock stays usable."""

from __future__ import annotations

import copy
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from strop.types import WeightsLock, locks

SECONDS = 30.0
"""Far longer than anything here takes: a lock that never opens fails its test, and does not hang it."""


@pytest.fixture(autouse=True)
def _woken_or_late(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who waits goes on because it is woken, not because it looks by itself."""
    monkeypatch.setattr(locks, "PATIENCE", SECONDS)
    monkeypatch.setattr(locks, "GLANCE", 2 * SECONDS)


class Watched(WeightsLock):
    """Says when a thread comes to the point where it may have to wait."""

    def __init__(self) -> None:
        super().__init__()
        self.arrivals = threading.Semaphore(0)

    def _wait(self, wish: str, is_free: Callable[[], bool]) -> None:
        self.arrivals.release()
        super()._wait(wish, is_free)

    def settle(self) -> None:
        """Return once one more thread waits, or is in."""
        assert self.arrivals.acquire(timeout=SECONDS)
        with self._condition:  # free only when that thread has decided
            pass


@contextmanager
def threads() -> Iterator[Callable[..., Future[None]]]:
    """A function that starts a call in a thread of its own; all are waited for."""
    with ThreadPoolExecutor(8) as pool:
        started: list[Future[None]] = []

        def start(call: Callable[[], None]) -> Future[None]:
            started.append(pool.submit(call))
            return started[-1]

        yield start
        for future in started:
            future.result(SECONDS)


def usable(lock: WeightsLock) -> bool:
    """Whether another thread can change, and another one read."""

    def use() -> None:
        with lock.changing():
            pass
        with lock.reading():
            pass

    with threads() as start:
        start(use)
    return True


def test_readers_are_in_together() -> None:
    lock, meeting = WeightsLock(), threading.Barrier(4, timeout=SECONDS)

    def read() -> None:
        with lock.reading():
            meeting.wait()  # broken unless all four are in at once

    with threads() as start:
        for _ in range(4):
            start(read)


@pytest.mark.parametrize("first", ["reading", "changing"])
@pytest.mark.parametrize("second", ["reading", "changing"])
def test_who_changes_is_alone(first: str, second: str) -> None:
    lock, order = Watched(), list[str]()

    def follow() -> None:
        with getattr(lock, second)():
            order.append("in")

    with threads() as start, getattr(lock, first)():
        lock.arrivals.acquire()
        start(follow)
        lock.settle()
        order.append("out")
    assert order == (["in", "out"] if first == second == "reading" else ["out", "in"])


def test_who_waits_to_change_goes_before_later_readers() -> None:
    lock, order = Watched(), list[str]()

    def change() -> None:
        with lock.changing():
            order.append("changed")

    def read() -> None:
        with lock.reading():
            order.append("read")

    with threads() as start, lock.reading():
        lock.settle()
        start(change)
        lock.settle()
        start(read)
        lock.settle()
        assert order == []
    assert order == ["changed", "read"]


@pytest.mark.parametrize("kind", ["reading", "changing"])
def test_an_error_leaves_the_lock(kind: str) -> None:
    lock = WeightsLock()
    with pytest.raises(KeyError), getattr(lock, kind)():
        raise KeyError("within")
    assert usable(lock)


@pytest.mark.parametrize("held", ["reading", "changing"])
@pytest.mark.parametrize("wanted", ["reading", "changing"])
def test_a_second_entry_is_refused_in_words(held: str, wanted: str) -> None:
    lock = WeightsLock()
    with getattr(lock, held)():
        with pytest.raises(RuntimeError, match=r"the thread MainThread is within .* would wait for itself"):
            getattr(lock, wanted)().__enter__()
        entered = lock._reading if held == "reading" else lock._changing
        assert entered == {threading.current_thread()}  # the refusal let go of nothing
    assert usable(lock)


def test_two_locks_have_nothing_to_do_with_each_other() -> None:
    one, other = WeightsLock(), WeightsLock()
    with one.changing(), other.reading():
        assert usable(WeightsLock())
    with one.reading(), other.changing():
        pass


@pytest.mark.parametrize(("held", "wanted"), [("reading", "changing"), ("changing", "reading")])
def test_the_wait_has_an_end_that_says_whom_it_waited_for(
    held: str, wanted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "PATIENCE", 0.01)
    monkeypatch.setattr(locks, "GLANCE", 0.001)
    lock, holds, done = WeightsLock(), threading.Event(), threading.Event()

    def hold() -> None:
        threading.current_thread().name = "the chat"
        with getattr(lock, held)():
            holds.set()
            done.wait(SECONDS)

    with threads() as start:
        start(hold)
        assert holds.wait(SECONDS)
        with pytest.raises(TimeoutError) as told, getattr(lock, wanted)():
            pass
        done.set()
    wish, by = ("change", "read") if held == "reading" else ("read", "changed")
    assert f"waited 0.01 s to {wish} a policy's weights" in str(told.value)
    assert f"{by} by: the chat;" in str(told.value)
    assert usable(lock)


@pytest.mark.parametrize(("held", "wanted"), [("reading", "changing"), ("changing", "reading")])
def test_ctrl_c_ends_the_wait_and_leaves_the_lock_usable(
    held: str, wanted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The signal reaches another thread, so that nothing wakes the main thread: its wait is short."""
    monkeypatch.setattr(locks, "GLANCE", 0.01)
    lock, holds, done = Watched(), threading.Event(), threading.Event()

    def hold() -> None:
        with getattr(lock, held)():
            holds.set()
            done.wait(SECONDS)

    def interrupt() -> None:
        lock.settle()
        signal.raise_signal(signal.SIGINT)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with threads() as start:
            start(hold)
            assert holds.wait(SECONDS)
            lock.settle()
            start(interrupt)
            with pytest.raises(KeyboardInterrupt), getattr(lock, wanted)():
                pass
            with lock._condition:
                assert not lock._waiting  # or later readers would wait for nobody
            done.set()
    finally:
        signal.signal(signal.SIGINT, before)
    assert usable(lock)


def test_a_copy_has_a_lock_of_its_own() -> None:
    lock = WeightsLock()
    with lock.changing():
        twin = copy.deepcopy({"lock": lock})["lock"]
        assert twin is not lock
        assert usable(twin)
