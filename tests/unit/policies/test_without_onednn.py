"""A torch without oneDNN's private operators: the plain ones take their place, and give the same numbers."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from exact.build import batch_of, episode, llama, turn
from strop.functional import gather
from strop.policies.adapters import LoRA
from strop.policies.transformer import Transformer, adapt
from strop.types import Heads

REAL = torch.ops.mkldnn
OPERATORS = ("_linear_pointwise", "_reorder_linear_weight")
LARGE = 256
"""A width whose fused layers are large enough for oneDNN."""


class Counted:
    """The real operators, and which of them were called for."""

    def __init__(self) -> None:
        self.names: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        operator = getattr(REAL, name)
        self.names.add(name)
        return operator


def computed(lora: LoRA | None, dtype: str) -> dict[str, Tensor]:
    """What a policy decodes, and what it learns from."""
    policy: Transformer = adapt(llama(width=LARGE), lora, 0, dtype)
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter += 0.01  # an adapter that is new adds nothing
        first_BV, state = policy.prefill([(1, 2, 0), (2, 1)])
        second_BV = state.step(torch.tensor([1, 2]))
    batch = batch_of(episode(turn((1, 2, 3), (4, 5))), episode(turn((2,), (6, 1, 3))))
    logprobs_BT = policy.heads(batch, logprobs)["logprobs"]
    weights_N = torch.linspace(-1.0, 2.0, int(batch.decision_BT.sum()))
    loss = (logprobs_BT[batch.decision_BT] * weights_N).sum()
    gradients = torch.autograd.grad(loss, list(policy.parameters()))
    gradient = torch.cat([one.flatten() for one in gradients])
    return {"prefill": first_BV, "step": second_BV, "logprobs": logprobs_BT.detach(), "gradient": gradient}


def logprobs(heads: Heads) -> dict[str, Tensor]:
    assert heads.logits_NV is not None
    return {"logprobs": gather(heads.logits_NV.log_softmax(dim=-1), heads.tokens_N)}


@pytest.mark.skipif(not all(hasattr(REAL, name) for name in OPERATORS), reason="this torch has no oneDNN")
@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-4), ("bfloat16", 0.05)])
@pytest.mark.parametrize("lora", [None, LoRA(rank=2, alpha=4)], ids=["full", "lora"])
def test_the_same_numbers_without_them(
    monkeypatch: pytest.MonkeyPatch, lora: LoRA | None, dtype: str, tolerance: float
) -> None:
    counted = Counted()
    monkeypatch.setattr(torch.ops, "mkldnn", counted)
    expected = computed(lora, dtype)
    assert "_linear_pointwise" in counted.names
    monkeypatch.setattr(torch.ops, "mkldnn", object())  # whoever calls one regardless fails
    found = computed(lora, dtype)
    distances = {name: distance(found[name], expected[name]) for name in found}
    assert max(distances.values()) < tolerance, distances


def distance(found: Tensor, expected: Tensor) -> float:
    return ((found - expected).norm() / expected.norm()).item()
