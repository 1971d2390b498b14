"""Restore the process-wide settings that training changes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from strop.runs import randomness


@contextmanager
def global_state_kept() -> Iterator[None]:
    """Restore torch's thread count and deterministic mode, and every global random state, on exit."""
    threads, mode = torch.get_num_threads(), torch.get_deterministic_debug_mode()
    fills = torch.utils.deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
    try:
        with randomness.undisturbed():
            yield
    finally:
        torch.set_num_threads(threads)
        torch.set_deterministic_debug_mode(mode)
        torch.utils.deterministic.fill_uninitialized_memory = fills  # type: ignore[attr-defined]
