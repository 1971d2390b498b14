"""bfloat16: who gets it."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import strop
from strop.compute.precision import has_bfloat16
from strop.policies.scratch import Scratch
from strop.types import Task


def chosen(policy: Any, dtype: str | None = None) -> str | None:
    """The type of a run."""
    rewards = [lambda task, episode: 1.0]
    return strop.TrainConfig(policy=policy, tasks=[Task("a", "b")], rewards=rewards, dtype=dtype).resolve().dtype


@pytest.mark.parametrize(
    ("capabilities", "expected"),
    [
        ({"amx_bf16": True}, True),
        ({"avx512_bf16": True, "amx_bf16": False}, True),
        ({"avx2": True}, False),
        ({}, False),
    ],
)
def test_the_processor_is_asked(monkeypatch: Any, capabilities: dict[str, bool], expected: bool) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    assert has_bfloat16() is expected


def test_a_torch_that_cannot_tell_computes_in_float32(monkeypatch: Any) -> None:
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    monkeypatch.setattr("strop.runs.dtypes.has_bfloat16", has_bfloat16)  # the tests' own answer aside
    assert has_bfloat16() is False
    assert chosen("smollm2") == "float32"


def test_a_pretrained_model_gets_bfloat16_where_it_is_fast_unless_told_otherwise(monkeypatch: Any) -> None:
    assert chosen("smollm2") == "float32"  # tests/conftest.py: no test depends on the processor
    monkeypatch.setattr("strop.runs.dtypes.has_bfloat16", lambda: True)
    assert chosen("smollm2") == "bfloat16"
    assert chosen("smollm2", "float32") == "float32"
    assert chosen(Scratch(words=["a", "b"])) == "float32"
