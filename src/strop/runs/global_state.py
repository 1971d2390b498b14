"""The process-wide settings that training changes: made, and restored."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from strop.runs import randomness

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

    The variable of cuBLAS stays: it has been read, and says what holds.
    """
    threads, mode = torch.get_num_threads(), torch.get_deterministic_debug_mode()
    fills = torch.utils.deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
    try:
        with randomness.undisturbed():
            yield
    finally:
        torch.set_num_threads(threads)
        torch.set_deterministic_debug_mode(mode)
        torch.utils.deterministic.fill_uninitialized_memory = fills  # type: ignore[attr-defined]
