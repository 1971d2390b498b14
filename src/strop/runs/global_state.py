"""The process-wide settings that training changes: made, and restored."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from strop.process import ALONE
from strop.runs import randomness
from strop.types import State


@dataclass(frozen=True, slots=True)
class _Found:
    """Torch's deterministic mode and the global random states, as they were."""

    mode: int
    fills: bool
    random: State

    @classmethod
    def now(cls) -> _Found:
        fills = torch.utils.deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
        return cls(torch.get_deterministic_debug_mode(), fills, randomness.capture())

    def restore(self) -> None:
        torch.set_deterministic_debug_mode(self.mode)
        torch.utils.deterministic.fill_uninitialized_memory = self.fills  # type: ignore[attr-defined]
        randomness.restore(self.random)


_found: list[_Found] = []
"""What each thread that is inside found, the first one first."""

CUBLAS, WORKSPACE = "CUBLAS_WORKSPACE_CONFIG", ":4096:8"
"""The variable without which cuBLAS adds up in an order of its own, and the value that torch recommends."""


def set_up_torch(threads: int, device: str) -> None:
    """Set torch's number of threads, and deterministic sums.

    The gradient of a repeated index (the prompt's cache, shared by a group) is otherwise added up in the order in which
    the threads finish, and no two runs are equal. A model with an operation that cannot be deterministic still trains:
    torch warns, and names it. cuBLAS reads its variable when it starts, so this comes before a model is built.
    """
    torch.set_num_threads(threads)
    torch.set_deterministic_debug_mode("warn")  # use_deterministic_algorithms would load torch's compiler: seconds
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    if device.startswith("cuda"):
        os.environ.setdefault(CUBLAS, WORKSPACE)


@contextmanager
def global_state_kept() -> Iterator[None]:
    """Restore torch's thread count and deterministic mode, and every global random state, on exit.

    A thread count belongs to its thread, everything else to the process: of several threads that are inside, the last
    to leave restores what the first one found. The variable of cuBLAS stays: it has been read, and says what holds.
    """
    threads = torch.get_num_threads()
    with ALONE:
        _found.append(_Found.now())
    try:
        yield
    finally:
        with ALONE:
            found = _found.pop()
            if not _found:
                found.restore()
        torch.set_num_threads(threads)
