"""What the tests of this folder compute on: torch's accelerator, or on the CPU what stands in for one.

STROP_TEST_DEVICE=cpu-plain  the CPU by the plain path, the one that an accelerator takes
STROP_TEST_DEVICE=pretend    the pretended device of tests/pretend_device.py

A stand-in shows that the tests run and can fail, and what they say of the plain path; how a device rounds, what its
kernels lack and what memory they take is seen on the device alone.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Protocol

import pytest
import torch

from strop.devices import accelerators

NONE = (
    f"torch {torch.__version__} sees no accelerator here, and these tests are about one: they need a GPU, its driver "
    "and a torch that is built for it. To try the tests themselves without one, which says nothing about a device: "
    "STROP_TEST_DEVICE=cpu-plain make test-gpu, or =pretend."
)


WAITED = "called a synchronizing CUDA operation"
"""What torch says of a wait."""


class Accelerator(Protocol):
    """What is computed on."""

    name: str
    """As `TrainConfig.device` takes it."""

    def present(self) -> AbstractContextManager[object]:
        """What is around a whole test."""

    def computing(self) -> AbstractContextManager[object]:
        """Policies that are built within compute as on an accelerator."""

    def peak_bytes(self, work: Callable[[], object]) -> int:
        """The most bytes that tensors take at once while `work` runs, beyond those that are there before."""

    def waits(self) -> AbstractContextManager[list[str]]:
        """Collects whatever makes the program wait for the device, in either direction."""


class Cuda:
    """A CUDA device."""

    def __init__(self, name: str) -> None:
        self.name = name

    def present(self) -> AbstractContextManager[object]:
        return nullcontext()

    def computing(self) -> AbstractContextManager[object]:
        return nullcontext()

    def peak_bytes(self, work: Callable[[], object]) -> int:
        torch.cuda.synchronize(self.name)
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(self.name)
        before = torch.cuda.memory_allocated(self.name)
        work()
        torch.cuda.synchronize(self.name)
        return torch.cuda.max_memory_allocated(self.name) - before

    @contextmanager
    def waits(self) -> Iterator[list[str]]:
        """torch warns at each of them."""
        seen: list[str] = []
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            torch.cuda.set_sync_debug_mode("warn")
            try:
                yield seen
            finally:
                torch.cuda.set_sync_debug_mode("default")
        seen += [f"{one.filename}:{one.lineno}" for one in caught if WAITED in str(one.message)]


class Mps:
    """Apple's device, of which torch measures neither."""

    name = "mps"

    def present(self) -> AbstractContextManager[object]:
        return nullcontext()

    def computing(self) -> AbstractContextManager[object]:
        return nullcontext()

    def peak_bytes(self, work: Callable[[], object]) -> int:
        pytest.skip("torch does not measure the peak on MPS")

    def waits(self) -> AbstractContextManager[list[str]]:
        pytest.skip("torch does not tell of waiting on MPS")


def found() -> Accelerator | None:
    """The stand-in that is asked for, or the first device that torch sees; None where there is none.

    Raises UsageError for a stand-in that there is not.
    """
    from gpu.stand_ins import STAND_INS

    asked = os.environ.get("STROP_TEST_DEVICE", "")
    if asked:
        if asked not in STAND_INS:
            raise pytest.UsageError(f"STROP_TEST_DEVICE={asked!r}: it is one of {', '.join(STAND_INS)}, or not set.")
        return STAND_INS[asked]()
    there = accelerators()
    if not there:
        return None
    return Cuda(there[0]) if there[0].startswith("cuda") else Mps()
