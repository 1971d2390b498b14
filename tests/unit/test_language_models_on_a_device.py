"""Recurrent and convolutional language models on a pretended device: every tensor is made there, and the numbers are
those of the CPU. The fused cells of LSTM and GRU have no kernel there; what stands around them is the plain RNN's."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from language_models import batch_after, config_of, logits_of, policy_of
from strop.runs.state import same
from strop.types import Heads

pytest.importorskip("pretend_device", reason="this torch cannot pretend a device in Python", exc_type=ImportError)

from pretend_device import DEVICE, pretended

ROWS = [(1, 2, 3), (1, 2, 0, 3, 4, 1, 1, 0), (4, 0)]


@pytest.mark.parametrize("name", ["rnn", "convolutional"])
def test_it_computes_there_what_it_computes_here(name: str) -> None:
    here = policy_of(name, value_head=True)
    with pretended(has_float64=False):
        there, _ = config_of(name, value_head=True).build(1, "float32", str(DEVICE))
        assert {parameter.device for parameter in there.parameters()} == {DEVICE}
        there.load_state_dict(here.state_dict())
        for policy in (here, there):
            learnt_BT = policy.heads(batch_after(ROWS), learnt, frozenset({"logits", "value"}))["learnt"]
            assert learnt_BT.device.type == "cpu"
            learnt_BT.sum().backward()
        for a, b in zip(here.parameters(), there.parameters(), strict=True):
            assert (a.grad - b.grad.cpu()).abs().max() < 1e-5
        assert all(
            (a - b.cpu()).abs().max() < 1e-5 for a, b in zip(logits_of(here, ROWS), logits_of(there, ROWS), strict=True)
        )
        assert (sampled(here) - sampled(there).cpu()).abs().max() < 1e-5
        assert same(there.twin().state_dict(), here.state_dict())
        assert {parameter.device for parameter in there.reference().parameters()} == {DEVICE}


@pytest.mark.parametrize("name", ["rnn", "convolutional"])
def test_dropout_draws_the_same_masks_there(name: str) -> None:
    with pretended(has_float64=False):
        here, there = (config_of(name, dropout=0.5).build(1, "float32", device)[0] for device in ("cpu", str(DEVICE)))
        for a, b in zip(logits_of(here, ROWS), logits_of(there, ROWS), strict=True):
            assert (a - b.cpu()).abs().max() < 1e-5


def learnt(heads: Heads) -> dict[str, torch.Tensor]:
    assert heads.logits_NV is not None
    assert heads.value_N is not None
    return {"learnt": heads.logits_NV.log_softmax(-1).gather(1, heads.tokens_N[:, None])[:, 0] + heads.value_N}


def sampled(policy: Any) -> torch.Tensor:
    """The logits after prompts of unequal lengths, a row that leaves, and two more tokens."""
    _, state = policy.prefill(ROWS)
    state = policy.keep(state, [2, 0])
    _, state = policy.decode(state, torch.tensor([1, 3]))
    logits_BV, _ = policy.decode(state, torch.tensor([0, 2]))
    return logits_BV
