"""Decoding from copies: the bits of autocast where they are rounded, the same numbers where they are packed."""

from __future__ import annotations

from functools import partial

import pytest
import torch

from exact.build import batch_of, episode, llama, turn
from strop.compute import packed_linear as packed
from strop.compute.packed_linear import (
    Packed,
    PackedLinear,
    PackedProduct,
    Product,
    can_pack,
    exact,
    rounded,
    side_by_side,
    together,
)
from strop.compute.padded_decoder import Padded
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
    assert policy._packed is not None
    head, found = policy.model.get_output_embeddings(), []
    rounding = head.forward

    def exact(rows: torch.Tensor) -> torch.Tensor:
        with torch.autocast("cpu", enabled=False):
            return rounding(rows)

    head.forward = exact
    try:
        for model in (policy._packed.model, policy.model):
            logits_BV, state = Padded.read(model, PROMPTS, policy.dtype)
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
    AdamW(lr=0.1).build(policy.parameters()).step(batch_of(episode(turn((1,), (2,)))), [Term(total, {})])


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
    copied = Packed(model, partial(rounded, head=model.lm_head))
    copied.refresh()
    copy = copied.model
    assert copy.model.embed_tokens.weight is model.model.embed_tokens.weight
    assert copy.model.norm.weight is model.model.norm.weight
    for one in copied.products:
        is_head = one.own[0][0] is model.lm_head.weight
        assert one.weight.dtype == (torch.float32 if is_head else torch.bfloat16)
    assert len(copied.products) == 2 * 7 + 1


def test_what_an_adapter_leaves_alone_is_copied_once() -> None:
    one = policy(lora=True)
    both(one)
    assert one._packed is not None
    base = [product for product in one._packed.products if not product.trains]
    before = [product.weight for product in base]
    move(one)
    both(one)
    assert base
    assert all(product.weight is weight for product, weight in zip(base, before, strict=True))


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
    assert one._packed is not None
    assert one._packed.products
    assert all(isinstance(product, PackedProduct) for product in one._packed.products)
    torch.testing.assert_close(start, expected, rtol=0, atol=1e-5)
    saved = {name: tensor.clone() for name, tensor in one.state_dict()["trainable"].items()}
    move(one)
    moved, expected = both(one)
    torch.testing.assert_close(moved, expected, rtol=0, atol=1e-5)
    assert (moved - start).abs().max() > 1e-3
    one.load_state_dict({**one.state_dict(), "trainable": saved})
    torch.testing.assert_close(both(one)[0], start, rtol=0, atol=0)


def layers(bias: bool, *widths: int) -> list[torch.nn.Linear]:
    """Random ones that read 7 numbers."""
    torch.manual_seed(0)
    return [torch.nn.Linear(7, width, bias=bias).requires_grad_(False) for width in widths]


@pytest.mark.parametrize("kind", [Product, pytest.param(PackedProduct, marks=packs)])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("shape", [(7,), (3, 7), (2, 5, 7)], ids=str)
def test_layers_side_by_side_compute_what_each_does(shape: tuple[int, ...], bias: bool, kind: type[Product]) -> None:
    own = layers(bias, 4, 2, 3)
    product = kind(own, torch.float32)
    product.refresh()
    joined = [PackedLinear(product, index) for index in range(3)]
    first, second = torch.randn(shape), torch.randn(shape)
    # in turn, out of turn, again, and only some of them
    for index, given in [
        (0, first),
        (1, first),
        (2, first),
        (2, second),
        (0, second),
        (0, first),
        (0, first),
        (1, second),
    ]:
        torch.testing.assert_close(joined[index](given), own[index](given))


@pytest.mark.parametrize("asked", [(0, 1, 2), (0, 1), (2, 1, 0), (0,), (0, 3), (0, 1, 2, 3)], ids=str)
def test_what_layers_make_together_is_in_their_order(asked: tuple[int, ...]) -> None:
    own = [*layers(False, 4, 2, 3), *layers(False, 5)]
    both = [Product(own[:3], torch.float32), Product(own[3:], torch.float32)]
    for product in both:
        product.refresh()
    packed = [*(PackedLinear(both[0], index) for index in range(3)), PackedLinear(both[1], 0)]
    given = torch.randn(3, 7)
    expected = torch.cat([own[index](given) for index in asked], dim=-1)
    torch.testing.assert_close(together(*(packed[index] for index in asked))(given), expected)
    assert (together(*(packed[index] for index in asked)) == both[0].joined) == (asked == (0, 1, 2))


def test_layers_that_read_the_same_input_are_multiplied_once(monkeypatch: pytest.MonkeyPatch) -> None:
    product = Product(layers(False, 4, 2), torch.float32)
    product.refresh()
    calls: list[int] = []
    multiply = product.multiply
    monkeypatch.setattr(product, "multiply", lambda rows: calls.append(len(rows)) or multiply(rows))
    one, other = PackedLinear(product, 0), PackedLinear(product, 1)
    given = torch.randn(3, 7)
    one(given), other(given)
    assert calls == [3]
    assert product._input is None  # nothing is held on to
    one(given), other(given.clone())
    assert calls == [3, 3, 3]
    product.release()
    assert product._input is None


def test_what_stands_side_by_side_in_a_model() -> None:
    for lora in (False, True):
        model = policy(lora, "float32").model
        names = {id(module): name.removeprefix("model.layers.0.") for name, module in model.named_modules()}
        found = [[names[id(getattr(*place))] for place in places] for places in side_by_side(model)]
        base = ".base_layer" if lora else ""
        assert [f"self_attn.{name}_proj{base}" for name in "qkv"] in found
        assert [f"mlp.{name}_proj{base}" for name in ("gate", "up")] in found
        assert [f"self_attn.o_proj{base}"] in found
        assert ["lm_head"] in found
        assert all(len(group) == 1 for group in found if "lora" in group[0])  # these have an input of their own


@pytest.mark.skipif(not can_pack(torch.bfloat16), reason="this processor does not multiply bfloat16")
def test_packed_bfloat16_is_as_near_as_its_rounding() -> None:
    torch.manual_seed(0)
    own = torch.nn.Linear(64, 32).requires_grad_(False)
    product = PackedProduct([own], torch.bfloat16)
    product.refresh()
    given = torch.randn(5, 64)
    out = product.multiply(given)
    assert out.dtype == torch.bfloat16
    torch.testing.assert_close(out.float(), own(given), rtol=0.02, atol=0.02)


def test_small_matrices_are_not_copied_in_vain() -> None:
    assert Packed(llama(), exact).products == []


def test_float64_is_never_packed(however_small: None) -> None:
    assert Packed(llama().double(), exact).products == []


@packs
@FULL_OR_LORA
def test_what_trains_is_freed_for_the_training_pass(lora: bool, however_small: None) -> None:
    one = policy(lora, "float32")
    before = both(one)[0]
    assert one._packed is not None
    batch = batch_of(episode(turn((1,), (2,))))
    with torch.no_grad():
        one.heads(batch, lambda heads: {"logits": heads.logits_NV})
    assert all(product.weight is not None for product in one._packed.products)
    one.heads(batch, lambda heads: {"logits": heads.logits_NV})
    held = [product.trains for product in one._packed.products if product.weight is not None]
    assert held == ([False] * len(held) if lora else [])
    assert len(held) == sum(not product.trains for product in one._packed.products)
    assert torch.equal(both(one)[0], before)
