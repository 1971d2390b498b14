"""Who may use a policy's weights: any number of threads read them, or one changes them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

PATIENCE = 600.0
"""Seconds that a thread waits for the others before it raises TimeoutError."""


class WeightsLock:
    """A lock for reading or for changing weights. A thread must not enter it twice.

    A thread that waits to change them goes before later readers, so that steady readers do not keep it waiting.
    """

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._num_reading = 0
        self._num_waiting_to_change = 0
        self._is_changing = False

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Within this context the weights stay as they are."""
        with self._condition:
            self._wait(lambda: not self._is_changing and not self._num_waiting_to_change, "a change of its weights")
            self._num_reading += 1
        try:
            yield
        finally:
            with self._condition:
                self._num_reading -= 1
                self._condition.notify_all()

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Within this context no other thread reads or changes the weights."""
        with self._condition:
            self._num_waiting_to_change += 1
            try:
                self._wait(lambda: not self._is_changing and not self._num_reading, "those who sample from it")
            finally:
                self._num_waiting_to_change -= 1
                self._condition.notify_all()
            self._is_changing = True
        try:
            yield
        finally:
            with self._condition:
                self._is_changing = False
                self._condition.notify_all()

    def __deepcopy__(self, memo: dict[int, object]) -> WeightsLock:
        """A copied policy has weights, and so a lock, of its own."""
        return WeightsLock()

    def _wait(self, is_free: Callable[[], bool], whom: str) -> None:
        if not self._condition.wait_for(is_free, PATIENCE):
            raise TimeoutError(f"waited {PATIENCE:g} s for a policy's weights: {whom} did not end.")
