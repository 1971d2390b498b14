"""A masked encoder on a pretended device: every tensor is made there, and the numbers are those of the CPU."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from exact.build import batch_of, episode, turn
from strop.algorithms.masked_lm import MaskedLM
from strop.optimizer import SGD
from strop.policies.scratch import Scratch
from strop.runs.state import same
from strop.types import Heads, Sampling

pytest.importorskip("pretend_device", reason="this torch cannot pretend a device in Python", exc_type=ImportError)

from pretend_device import DEVICE, pretended

WORDS = ("red", "blue", "green", "pink", "grey")


def policy_on(device: str, **given: Any) -> Any:
    policy, codec = Scratch(words=WORDS, shape="bert", width=8, num_heads=2, context=16, **given).build(
        0, "float32", device
    )
    assert {parameter.device.type for parameter in policy.parameters()} == {device.partition(":")[0]}
    return policy, codec


def learnt(heads: Heads) -> dict[str, torch.Tensor]:
    assert heads.logits_NV is not None
    assert heads.value_N is not None
    return {"learnt": heads.logits_NV.log_softmax(-1).gather(1, heads.tokens_N[:, None])[:, 0] + heads.value_N}


def test_a_classifier_computes_there_what_it_computes_here() -> None:
    given = {"actions": ("yes", "no"), "value_head": True}
    here, codec = policy_on("cpu", **given)
    with torch.no_grad():
        for parameter in here.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)))
    prompts = [codec.start(text) for text in ("red blue green", "pink", "grey red")]
    batch = batch_of(*(episode(turn(prompt, (i % 2,))) for i, prompt in enumerate(prompts)), layout=here.layout)
    with pretended(has_float64=False):
        there, _ = policy_on(str(DEVICE), **given)
        there.load_state_dict(here.state_dict())
        for policy in (here, there):
            learnt_BT = policy.heads(batch, learnt, frozenset({"logits", "value"}))["learnt"]
            assert learnt_BT.device.type == "cpu"
            learnt_BT.sum().backward()
        for a, b in zip(here.parameters(), there.parameters(), strict=True):
            assert (a.grad - b.grad.cpu()).abs().max() < 1e-5
        assert (here.prefill(prompts)[0] - there.prefill(prompts)[0].cpu()).abs().max() < 1e-5
        assert same(there.twin().state_dict(), here.state_dict())
        assert {parameter.device for parameter in there.reference().parameters()} == {DEVICE}


def test_hidden_tokens_are_learnt_there_as_here() -> None:
    texts = ((0, 1, 2, 3, 4, 0), (2, 1, 0), (4, 4, 3, 2))
    batch = batch_of(*(episode(turn(text[:1], text[1:], None), group=i) for i, text in enumerate(texts)))
    found = []
    with pretended(has_float64=False):
        for device in ("cpu", str(DEVICE)):
            policy, _ = policy_on(device)
            algorithm = MaskedLM.Config(optimizer=SGD(lr=1.0), next_sentence=True, share=0.5).build(
                policy, Sampling(), 16
            )
            metrics = [algorithm.update(batch).metrics for _ in range(2)]
            found.append(([p.detach().cpu() for p in policy.parameters()], metrics))
    (here, told), (there, said) = found
    assert all((a - b).abs().max() < 1e-5 for a, b in zip(here, there, strict=True))
    for a, b in zip(told, said, strict=True):
        assert all(a[name].value == pytest.approx(b[name].value, abs=1e-5) for name in a)
