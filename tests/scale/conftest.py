"""One Ray for the tests of a process: it takes seconds to start."""

from collections.abc import Iterator

import pytest

import fleet


@pytest.fixture(scope="session")
def cluster() -> Iterator[None]:
    with fleet.cluster():
        yield
