"""Shared by every test: one thread, so that float sums do not depend on the machine; helpers importable by folder."""

import gc
import logging
import os
import sys
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))
torch.set_num_threads(1)


def has_room_in_memory(place: Path) -> bool:
    """Whether it is a folder of a gigabyte or more in which programs may be started too."""
    if not os.access(place, os.W_OK):
        return False
    there = os.statvfs(place)
    return not there.f_flag & os.ST_NOEXEC and there.f_bavail * there.f_frsize >= 2**30


if has_room_in_memory(Path("/dev/shm")):  # where it costs nothing to wait for the disk, as a run does 40 times
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", "/dev/shm")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """The million objects of the collected tests all stay: no search for garbage goes through them, now or later."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.fixture(scope="session", autouse=True)
def _float32() -> Iterator[None]:
    """Every processor computes the tests in float32: what is learnt in bfloat16 depends on how it rounds."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("strop.runs.dtypes.has_bfloat16", lambda: False)
        yield


class Lines(logging.Handler):
    """Keeps what is logged, with tracebacks."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


@pytest.fixture
def logged() -> Iterator[list[str]]:
    """What the loggers write during a test. pytest's own `caplog` is off: it takes 2 ms from each test, used or not."""
    handler = Lines()
    loggers = [one for one in logging.root.manager.loggerDict.values() if isinstance(one, logging.Logger)]
    ends = [logging.root, *(one for one in loggers if not one.propagate)]
    for logger in ends:
        logger.addHandler(handler)
    yield handler.lines
    for logger in ends:
        logger.removeHandler(handler)


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every transformer that is built runs on the plain path, as it does on an accelerator."""
    from strop.compute.runner import Runner, runner_of

    def plain_runner_of(model: Any, dtype: torch.dtype, has_adapter: bool, is_plain: bool) -> Runner:
        return runner_of(model, dtype, has_adapter, is_plain=True)

    monkeypatch.setattr("strop.policies.transformer.runner_of", plain_runner_of)


@pytest.fixture(params=["fast", "plain"])
def path(request: pytest.FixtureRequest) -> str:
    """Both ways to run a transformer, one after the other."""
    if request.param == "plain":
        request.getfixturevalue("plain")
    return str(request.param)
