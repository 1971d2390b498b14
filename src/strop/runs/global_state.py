"""Restore the process-wide settings that training changes."""

from __future__ import annotations

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


@contextmanager
def global_state_kept() -> Iterator[None]:
    """Restore torch's thread count and deterministic mode, and every global random state, on exit.

    A thread count belongs to its thread, everything else to the process: of several threads that are inside, the last
    to leave restores what the first one found.
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
