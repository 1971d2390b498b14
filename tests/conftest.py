"""Shared by every test: one thread, so that float sums do not depend on the machine; helpers importable by folder."""

import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))
torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _float32(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every processor computes the tests in float32: what is learnt in bfloat16 depends on how it rounds."""
    monkeypatch.setattr("strop.config.has_bfloat16", lambda: False)
