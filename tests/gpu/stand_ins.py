"""Stand-ins for an accelerator, on the CPU."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any
from unittest import mock

import pytest

from gpu.live_bytes import LiveBytes
from machine import take_pretended
from strop.policies import transformer


class CpuPlain:
    """The CPU by the plain path."""

    name = "cpu"

    def present(self) -> AbstractContextManager[object]:
        return nullcontext()

    def computing(self) -> AbstractContextManager[object]:
        return mock.patch.object(transformer, "runner_of", _plain(transformer.runner_of))

    def peak_bytes(self, work: Callable[[], object]) -> int:
        with LiveBytes() as live:
            work()
        return live.peak

    def waits(self) -> AbstractContextManager[list[str]]:
        pytest.skip("nothing waits for the CPU; STROP_TEST_DEVICE=pretend counts")


def _plain(runner_of: Callable[..., Any]) -> Callable[..., Any]:
    return lambda model, dtype, has_adapter, is_plain: runner_of(model, dtype, has_adapter, True)


class Pretended:
    """The pretended device, on which a tensor that is left on the CPU fails as on CUDA."""

    name = "pretend:0"

    @contextmanager
    def present(self) -> Iterator[None]:
        """torch has it, and strop takes it as it takes CUDA."""
        from pretend_device import pretended

        with pretended(), pytest.MonkeyPatch.context() as patch:
            take_pretended(patch)
            yield

    def computing(self) -> AbstractContextManager[object]:
        return nullcontext()

    def peak_bytes(self, work: Callable[[], object]) -> int:
        pytest.skip("the pretended device measures no memory; STROP_TEST_DEVICE=cpu-plain does")

    @contextmanager
    def waits(self) -> Iterator[list[str]]:
        from pretend_device import transfers

        seen: list[str] = []
        with transfers() as crossed:
            yield seen
        seen += crossed.to_host + crossed.to_device


STAND_INS: dict[str, Callable[[], Any]] = {"cpu-plain": CpuPlain, "pretend": Pretended}
