"""Shared by the tests of `compute/`."""

import pytest

from strop.compute import products


@pytest.fixture
def however_small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every matrix is large enough for the processor's own products."""
    monkeypatch.setattr(products, "FEWEST", 1)
