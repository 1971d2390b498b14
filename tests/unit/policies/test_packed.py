"""Decoding from copies: the bits of autocast where they are rounded, the same numbers where they are packed."""

from __future__ import annotations

import pytest
import torch

from exact.build import batch_of, episode, llama, turn
from strop.optimizer import AdamW
from strop.policies import packed
from strop.policies.adapters import LoRA
from strop.policies.packed import Packed, PackedLinear, can_pack
from strop.policies.transformer import Transformer, adapt

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
    """Logits of two tokens: from the copies, and from the model itself."""
    found = []
    for logits_BV, state in (policy.prefill(PROMPTS), policy._prefill(policy.model, PROMPTS)):
        following_BV, _ = policy.decode(state, torch.tensor([1, 2]))
        found.append(torch.stack([logits_BV, following_BV]))
    return found[0], found[1]


def move(policy: Transformer) -> None:
    """One step of the optimiser that changes the logits."""
    total = sum((parameter.sum() for parameter in policy.parameters()), start=torch.zeros(()))
    AdamW(lr=0.1).build(policy.parameters()).step(batch_of(episode(turn((1,), (2,)))), [(total, {})])


@FULL_OR_LORA
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
    copied = Packed(model, rounds=True)
    copied.refresh()
    copy = copied.model
    assert copy.model.embed_tokens.weight is model.model.embed_tokens.weight
    assert copy.model.norm.weight is model.model.norm.weight
    assert copy.lm_head.weight.dtype == torch.bfloat16
    assert model.lm_head.weight.dtype == torch.float32


def test_under_an_adapter_the_base_is_copied_once() -> None:
    one = policy(lora=True)
    both(one)
    assert one._packed is not None
    base = [layer for layer in one._packed.layers if not layer.own[0].requires_grad]
    before = [layer.weight for layer in base]
    move(one)
    both(one)
    assert base
    assert all(layer.weight is weight for layer, weight in zip(base, before, strict=True))


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


@packs
@FULL_OR_LORA
def test_packed_weights_give_the_same_numbers_before_and_after_every_change(lora: bool, however_small: None) -> None:
    one = policy(lora, "float32")
    start, expected = both(one)
    assert one._packed is not None
    assert one._packed.layers
    assert all(layer.packs for layer in one._packed.layers)
    torch.testing.assert_close(start, expected, rtol=0, atol=1e-5)
    saved = {name: tensor.clone() for name, tensor in one.state_dict()["trainable"].items()}
    move(one)
    moved, expected = both(one)
    torch.testing.assert_close(moved, expected, rtol=0, atol=1e-5)
    assert (moved - start).abs().max() > 1e-3
    one.load_state_dict({**one.state_dict(), "trainable": saved})
    torch.testing.assert_close(both(one)[0], start, rtol=0, atol=0)


@packs
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("shape", [(7,), (3, 7), (2, 5, 7)], ids=str)
def test_a_packed_layer_computes_what_the_layer_does(shape: tuple[int, ...], bias: bool) -> None:
    torch.manual_seed(0)
    own = torch.nn.Linear(7, 4, bias=bias).requires_grad_(False)
    layer = PackedLinear(own, torch.float32, packs=True)
    layer.refresh()
    given = torch.randn(shape)
    torch.testing.assert_close(layer(given), own(given))


@pytest.mark.skipif(not can_pack(torch.bfloat16), reason="this processor does not multiply bfloat16")
def test_packed_bfloat16_is_as_near_as_its_rounding() -> None:
    torch.manual_seed(0)
    own = torch.nn.Linear(64, 32).requires_grad_(False)
    layer = PackedLinear(own, torch.bfloat16, packs=True)
    layer.refresh()
    given = torch.randn(5, 64)
    out = layer(given)
    assert out.dtype == torch.bfloat16
    torch.testing.assert_close(out.float(), own(given), rtol=0.02, atol=0.02)


def test_small_matrices_are_not_copied_in_vain() -> None:
    assert Packed(llama(), rounds=False).layers == []


def test_float64_is_never_packed(however_small: None) -> None:
    assert Packed(llama().double(), rounds=False).layers == []


@packs
@FULL_OR_LORA
def test_what_trains_is_freed_for_the_training_pass(lora: bool, however_small: None) -> None:
    one = policy(lora, "float32")
    before = both(one)[0]
    assert one._packed is not None
    batch = batch_of(episode(turn((1,), (2,))))
    with torch.no_grad():
        one.heads(batch, lambda heads: {"logits": heads.logits_NV})
    assert all(layer.weight is not None for layer in one._packed.layers)
    one.heads(batch, lambda heads: {"logits": heads.logits_NV})
    held = [layer.own[0].requires_grad for layer in one._packed.layers if layer.weight is not None]
    assert held == ([False] * len(held) if lora else [])
    assert len(held) == sum(not layer.own[0].requires_grad for layer in one._packed.layers)
    assert torch.equal(both(one)[0], before)
