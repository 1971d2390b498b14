"""Run calls side by side, each with a time limit: no wait of strop is without an end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(slots=True)
class _Slot(Generic[T]):
    value: T | None = None
    error: Exception | None = None


def side_by_side(calls: Sequence[Callable[[], T]], seconds: float, what: str) -> list[T | Exception]:
    """Each call's result in order, or the exception that it raised, or a TimeoutError that names `what`.

    The calls run in daemon threads: one that never returns is left behind and cannot hold the process at its end.
    """
    slots: list[_Slot[T]] = [_Slot() for _ in calls]
    threads = [
        threading.Thread(target=_run, args=(call, slot), daemon=True) for call, slot in zip(calls, slots, strict=True)
    ]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + seconds
    results: list[T | Exception] = []
    for thread, slot in zip(threads, slots, strict=True):
        thread.join(max(deadline - time.monotonic(), 0.0))
        if thread.is_alive():
            results.append(TimeoutError(f"{what} took longer than {seconds:g} seconds"))
        else:
            results.append(slot.error if slot.error is not None else slot.value)  # type: ignore[arg-type]
    return results


def _run(call: Callable[[], T], slot: _Slot[T]) -> None:
    try:
        slot.value = call()
    except Exception as error:
        slot.error = error
