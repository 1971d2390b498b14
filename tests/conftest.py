"""Shared by every test: one thread, so that float sums do not depend on the machine; helpers importable by folder."""

import sys
from pathlib import Path
from typing import Any

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))
torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _float32(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every processor computes the tests in float32: what is learnt in bfloat16 depends on how it rounds."""
    monkeypatch.setattr("strop.runs.dtypes.has_bfloat16", lambda: False)


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
