"""Every test of this folder is marked `gpu` and computes on `accelerator`; without one none of them starts."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from gpu.accelerator import NONE, Accelerator, found
from strop.runs.global_state import CUBLAS, WORKSPACE

os.environ.setdefault(CUBLAS, WORKSPACE)  # a run sets it before anything computes, and here other tests come first


@pytest.hookimpl(tryfirst=True)  # before -m chooses
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A device's warnings are shown and fail no test: kernels without a deterministic form warn, one by one."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.gpu)
            item.add_marker(pytest.mark.filterwarnings("default"))


def pytest_collection_finish(session: pytest.Session) -> None:
    if any(item.get_closest_marker("gpu") for item in session.items) and found() is None:
        pytest.exit(NONE, returncode=1)


@pytest.fixture
def accelerator() -> Iterator[Accelerator]:
    one = found()
    assert one is not None
    with one.present():
        yield one
