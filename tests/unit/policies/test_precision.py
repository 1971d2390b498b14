"""bfloat16: who gets it, and that decoding from rounded weights gives the bits of autocast, whatever changes them."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import strop
from exact.build import batch_of, episode, llama, turn
from strop.optimizer import AdamW
from strop.policies.adapters import LoRA
from strop.policies.precision import Rounded, has_bfloat16
from strop.policies.scratch import Scratch
from strop.policies.transformer import Transformer, adapt
from strop.types import Task

PROMPTS = [(1, 2, 0), (2, 1)]


def policy(lora: bool) -> Transformer:
    return adapt(llama(), LoRA(rank=2, alpha=4) if lora else None, 0, "bfloat16")


def both(policy: Transformer) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits of two tokens: from rounded weights, and from autocast alone."""
    found = []
    for logits_BV, state in (policy.prefill(PROMPTS), policy._prefill(policy.model, PROMPTS)):
        following_BV, _ = policy.decode(state, torch.tensor([1, 2]))
        found.append(torch.stack([logits_BV, following_BV]))
    return found[0], found[1]


def move(policy: Transformer) -> None:
    """One step of the optimiser that changes the logits."""
    total = sum((parameter.sum() for parameter in policy.parameters()), start=torch.zeros(()))
    AdamW(lr=0.1).build(policy.parameters()).step(batch_of(episode(turn((1,), (2,)))), [(total, {})])


@pytest.mark.parametrize("lora", [False, True], ids=["full", "lora"])
def test_decoding_has_the_bits_of_autocast_before_and_after_every_change(lora: bool) -> None:
    one = policy(lora)
    start, expected = both(one)
    assert torch.equal(start, expected)
    saved = {name: tensor.clone() for name, tensor in one.state_dict()["trainable"].items()}
    move(one)
    moved, expected = both(one)
    assert torch.equal(moved, expected)
    assert not torch.equal(moved, start)
    one.load_state_dict({**one.state_dict(), "trainable": saved})
    assert torch.equal(both(one)[0], start)


def test_only_linear_weights_are_held_twice_and_the_embedding_stays_exact() -> None:
    model = llama()
    assert model.lm_head.weight is model.model.embed_tokens.weight
    copy = Rounded(model).model
    assert copy.model.embed_tokens.weight is model.model.embed_tokens.weight
    assert copy.model.norm.weight is model.model.norm.weight
    assert copy.lm_head.weight.dtype == torch.bfloat16
    assert model.lm_head.weight.dtype == torch.float32


def test_under_an_adapter_the_base_is_rounded_once() -> None:
    one = policy(lora=True)
    both(one)
    assert one._rounded is not None
    base = [rounded for rounded, own in one._rounded._pairs if not own.requires_grad]
    before = [weight._version for weight in base]
    move(one)
    both(one)
    assert base
    assert [weight._version for weight in base] == before


def test_the_adapter_can_be_switched_off_whoever_decodes_first() -> None:
    fresh, used = policy(lora=True), policy(lora=True)
    for one in (fresh, used):
        move(one)
    both(used)
    plain = adapt(llama(), None, 0, "bfloat16").prefill(PROMPTS)[0]
    for one in (fresh, used):
        assert torch.equal(one.reference().prefill(PROMPTS)[0], plain)
        assert not torch.equal(one.prefill(PROMPTS)[0], plain)


def test_a_twin_rounds_its_own_weights() -> None:
    one = policy(lora=False)
    start = both(one)[0]
    twin = one.twin()
    move(twin)
    assert torch.equal(*both(twin))
    assert torch.equal(both(one)[0], start)


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
    assert has_bfloat16() is False


def test_a_pretrained_model_gets_bfloat16_where_it_is_fast_unless_told_otherwise(monkeypatch: Any) -> None:
    def chosen(policy: Any, dtype: str | None = None) -> str | None:
        rewards = [lambda task, episode: 1.0]
        return strop.TrainConfig(policy=policy, tasks=[Task("a", "b")], rewards=rewards, dtype=dtype).resolve().dtype

    assert chosen("smollm2") == "float32"  # tests/conftest.py: no test depends on the processor
    monkeypatch.setattr("strop.config.has_bfloat16", lambda: True)
    assert chosen("smollm2") == "bfloat16"
    assert chosen("smollm2", "float32") == "float32"
    assert chosen(Scratch(words=["a", "b"])) == "float32"
