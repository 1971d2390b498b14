"""Decoding from copies: the bits of autocast where they are rounded, the same numbers where they are packed."""

from __future__ import annotations

from functools import partial

import pytest
import torch

from exact.build import batch_of, episode, llama, turn
from strop.compute import packed_linear as packed
from strop.compute.fused_model import FusedModel, fuse_exactly, fuse_in_bfloat16, linear_groups
from strop.compute.packed_linear import PackedLinear, can_pack
from strop.compute.padded_decoder import PaddedState
from strop.optimizer import AdamW
from strop.policies.adapters import LoRA
from strop.policies.transformer import Transformer, adapt
from strop.types import Term

PROMPTS = [(1, 2, 0), (2, 1)]


FULL_OR_LORA = pytest.mark.parametrize("lora", [False, True], ids=["full", "lora"])
packs = pytest.mark.skipif(not can_pack(torch.float32), reason="this torch has no oneDNN")


def policy(lora: bool, dtype: str = "bfloat16") -> Transformer:
    return adapt(llama(), LoRA(rank=2, alpha=4) if lora else None, 0, dtype)


@pytest.fixture
def however_small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every matrix is packed."""
    monkeypatch.setattr(packed, "FEWEST", 1)


def both(policy: Transformer) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits of two tokens by transformers' own pass: from the copies, and from the model itself with an exact head."""
    policy.prefill(PROMPTS)
    assert policy._decoding is not None
    head, found = policy.model.get_output_embeddings(), []
    rounding = head.forward

    def exact(rows: torch.Tensor) -> torch.Tensor:
        with torch.autocast("cpu", enabled=False):
            return rounding(rows)

    head.forward = exact
    try:
        for model in (policy._decoding.model, policy.model):
            logits_BV, state = PaddedState.prefill(model, PROMPTS, policy.dtype)
            found.append(torch.stack([logits_BV, state.step(torch.tensor([1, 2]))]))
    finally:
        del head.forward
    return found[0], found[1]


def alike(found: torch.Tensor, expected: torch.Tensor) -> bool:
    """The same bits up to the head, whose sums in float32 may go in another order; a rounding to bfloat16 is larger."""
    return torch.allclose(found, expected, rtol=0, atol=1e-6)


def move(policy: Transformer) -> None:
    """One step of the optimiser that changes the logits."""
    total = sum((parameter.sum() for parameter in policy.parameters()), start=torch.zeros(()))
    AdamW(lr=0.1).build(policy.parameters(), policy.lock).step(batch_of(episode(turn((1,), (2,)))), [Term(total, {})])


@FULL_OR_LORA
def test_decoding_has_the_bits_of_autocast_before_and_after_every_change(lora: bool) -> None:
    one = policy(lora)
    start, expected = both(one)
    assert alike(start, expected)
    saved = {name: tensor.clone() for name, tensor in one.state_dict()["trainable"].items()}
    move(one)
    moved, expected = both(one)
    assert alike(moved, expected)
    assert not alike(moved, start)
    one.load_state_dict({**one.state_dict(), "trainable": saved})
    assert alike(both(one)[0], start)


def test_only_linear_weights_are_held_twice_and_embedding_and_head_stay_exact() -> None:
    model = llama()
    assert model.lm_head.weight is model.model.embed_tokens.weight
    copied = FusedModel(model, partial(fuse_in_bfloat16, head=model.lm_head))
    copied.refresh()
    copy = copied.model
    assert copy.model.embed_tokens.weight is model.model.embed_tokens.weight
    assert copy.model.norm.weight is model.model.norm.weight
    for one in copied.linears:
        is_head = one.originals[0][0] is model.lm_head.weight
        assert one.weight.dtype == (torch.float32 if is_head else torch.bfloat16)
    assert len(copied.linears) == 2 * 7 + 1


def test_what_an_adapter_leaves_alone_is_copied_once() -> None:
    one = policy(lora=True)
    both(one)
    assert one._decoding is not None
    base = [fused for fused in one._decoding.linears if not fused.is_trainable]
    before = [fused.weight for fused in base]
    move(one)
    both(one)
    assert base
    assert all(fused.weight is weight for fused, weight in zip(base, before, strict=True))


def test_the_adapter_can_be_switched_off_whoever_decodes_first() -> None:
    fresh, used = policy(lora=True), policy(lora=True)
    for one in (fresh, used):
        move(one)
    both(used)
    plain = adapt(llama(), None, 0, "bfloat16").prefill(PROMPTS)[0]
    for one in (fresh, used):
        assert alike(one.reference().prefill(PROMPTS)[0], plain)
        assert not alike(one.prefill(PROMPTS)[0], plain)


def test_a_twin_rounds_its_own_weights() -> None:
    one = policy(lora=False)
    start = both(one)[0]
    twin = one.twin()
    move(twin)
    assert alike(*both(twin))
    assert alike(both(one)[0], start)


@packs
@FULL_OR_LORA
def test_packed_weights_give_the_same_numbers_before_and_after_every_change(lora: bool, however_small: None) -> None:
    one = policy(lora, "float32")
    start, expected = both(one)
    assert one._decoding is not None
    assert one._decoding.linears
    assert all(isinstance(fused, PackedLinear) for fused in one._decoding.linears)
    torch.testing.assert_close(start, expected, rtol=0, atol=1e-5)
    saved = {name: tensor.clone() for name, tensor in one.state_dict()["trainable"].items()}
    move(one)
    moved, expected = both(one)
    torch.testing.assert_close(moved, expected, rtol=0, atol=1e-5)
    assert (moved - start).abs().max() > 1e-3
    one.load_state_dict({**one.state_dict(), "trainable": saved})
    torch.testing.assert_close(both(one)[0], start, rtol=0, atol=0)


def test_layers_of_the_same_input_are_a_group() -> None:
    for lora in (False, True):
        model = policy(lora, "float32").model
        names = {id(module): name.removeprefix("model.layers.0.") for name, module in model.named_modules()}
        found = [[names[id(one.layer)] for one in group] for group in linear_groups(model)]
        base = ".base_layer" if lora else ""
        assert [f"self_attn.{name}_proj{base}" for name in "qkv"] in found
        assert [f"mlp.{name}_proj{base}" for name in ("gate", "up")] in found
        assert [f"self_attn.o_proj{base}"] in found
        assert ["lm_head"] in found
        assert all(len(group) == 1 for group in found if "lora" in group[0])  # these have an input of their own


def test_small_matrices_are_not_copied_in_vain() -> None:
    assert FusedModel(llama(), fuse_exactly).linears == []


def test_float64_is_never_packed(however_small: None) -> None:
    assert FusedModel(llama().double(), fuse_exactly).linears == []


@packs
@FULL_OR_LORA
def test_what_trains_is_freed_for_the_training_pass(lora: bool, however_small: None) -> None:
    one = policy(lora, "float32")
    before = both(one)[0]
    assert one._decoding is not None
    batch = batch_of(episode(turn((1,), (2,))))
    with torch.no_grad():
        one.heads(batch, lambda heads: {"logits": heads.logits_NV})
    assert all(fused.weight is not None for fused in one._decoding.linears)
    one.heads(batch, lambda heads: {"logits": heads.logits_NV})
    held = [fused.is_trainable for fused in one._decoding.linears if fused.weight is not None]
    assert held == ([False] * len(held) if lora else [])
    assert len(held) == sum(not fused.is_trainable for fused in one._decoding.linears)
    assert torch.equal(both(one)[0], before)
