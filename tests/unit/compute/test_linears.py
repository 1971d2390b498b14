"""Layers that read the same input compute what each does, in training and in decoding, and their copies are let go."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from linear_layers import adapted, exactly, layers
from strop.compute import linears as module
from strop.compute import products
from strop.compute.kept import Kept
from strop.compute.linears import Linears, base_of, decoding_products, is_linear, training_products, weights_of
from strop.compute.precision import autocast
from strop.compute.products import can_pack

FLOAT32, BFLOAT16 = torch.float32, torch.bfloat16
packs = pytest.mark.skipif(not can_pack(FLOAT32), reason="this torch has no oneDNN")
packs_bfloat16 = pytest.mark.skipif(not can_pack(BFLOAT16), reason="this processor does not multiply bfloat16")
ADAPTERS = {"none": (False, False, False), "all": (True, True, True), "some": (True, False, True)}
WHICH = pytest.mark.parametrize("which", ADAPTERS.values(), ids=ADAPTERS.keys())
SIZES = pytest.mark.parametrize("fewest", [1, 2**18], ids=["large", "small"], indirect=True)
TYPES = pytest.mark.parametrize(("dtype", "near"), [(FLOAT32, 1e-6), (BFLOAT16, 0.02)], ids=["float32", "bfloat16"])


@pytest.fixture
def fewest(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """From this size on, a matrix is large."""
    monkeypatch.setattr(products, "FEWEST", request.param)


def joined(parts: Sequence[Tensor]) -> Tensor:
    return torch.cat([*parts], dim=-1)


WAYS: dict[str, Callable[[Linears, Tensor], Tensor]] = {
    "train": lambda one, rows: joined(one.train(rows)),
    "decode": lambda one, rows: joined(one.decode(rows)),
    "decoder": lambda one, rows: one.decoder()(rows),
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())
@TYPES
@WHICH
@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no bias"])
@SIZES
def test_the_output_is_that_of_the_layers(
    fewest: None, bias: bool, which: tuple[bool, ...], dtype: torch.dtype, near: float, way: Callable[..., Tensor]
) -> None:
    many, rows = adapted(layers(bias, 4, 2, 3), which), torch.randn(2, 5, 7)
    with torch.no_grad(), autocast(dtype, "cpu"):
        found = way(Linears(many, dtype), rows)
    assert found.dtype is dtype
    true = exactly(many, rows)
    assert (found.double() - true).abs().max() < near * true.abs().max()


@WHICH
@SIZES
def test_the_gradient_is_that_of_the_layers(fewest: None, which: tuple[bool, ...]) -> None:
    many, rows = adapted(layers(True, 4, 2, 3), which), torch.randn(5, 7, requires_grad=True)
    learnt = [rows, *(p for layer in many for p in layer.parameters() if p.requires_grad)]
    found = []
    for outs in (Linears(many, FLOAT32).train(rows), [layer(rows) for layer in many]):
        for out in outs:
            out *= 2  # a model may write into what a layer gives
        found.append(torch.autograd.grad(joined(outs).square().sum(), learnt))
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


@SIZES
def test_in_bfloat16_a_head_is_not_rounded_but_its_gradient(fewest: None) -> None:
    (own,), rows = layers(False, 4), torch.randn(5, 7, requires_grad=True)
    head = Linears([own], BFLOAT16, is_head=True)
    with autocast(BFLOAT16, "cpu"):
        found = [way(head, rows) for way in WAYS.values()]
    for out in found:
        assert out.dtype is FLOAT32
        torch.testing.assert_close(out, own(rows), rtol=0, atol=1e-6)
    gradient, exact = (torch.autograd.grad(out.sum(), own.weight)[0] for out in (found[0], own(rows)))
    assert 1e-4 < ((gradient - exact).norm() / exact.norm()).item() < 0.01


# ------------------------------------------------------------ which products there are


@packs
@pytest.mark.usefixtures("however_small")
def test_layers_are_one_product_where_that_is_faster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(products, "has_bfloat16", lambda: True)
    own = layers(False, 4, 2, 3)
    assert len(training_products(own, FLOAT32, is_head=False)) == 3  # one for all would copy the weights
    assert len(training_products(own, BFLOAT16, is_head=False)) == 1
    assert [len(decoding_products(own, dtype, is_head=False)) for dtype in (FLOAT32, BFLOAT16)] == [1, 1]


def test_small_matrices_are_not_copied_in_vain() -> None:
    own = layers(False, 4, 2)
    assert training_products(own, FLOAT32, is_head=False) == []
    assert training_products(own, BFLOAT16, is_head=False) == []
    assert decoding_products(own, FLOAT32, is_head=False) == []
    assert len(decoding_products(own, BFLOAT16, is_head=False)) == 2  # rounded once, and not for every token
    assert len(training_products(own[:1], BFLOAT16, is_head=True)) == 1  # never rounded


@pytest.mark.usefixtures("however_small")
def test_other_types_are_left_to_torch() -> None:
    (own,) = layers(False, 4)
    own.double()
    assert training_products([own], FLOAT32, is_head=False) == []
    assert decoding_products([own], FLOAT32, is_head=False) == []


@pytest.mark.usefixtures("however_small")
def test_a_processor_without_bfloat16_multiplies_as_torch_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(products, "has_bfloat16", lambda: False)
    own, rows = layers(True, 4, 2), torch.randn(5, 7)
    assert training_products(own, BFLOAT16, is_head=False) == []
    with torch.no_grad(), autocast(BFLOAT16, "cpu"):
        expected = joined([layer(rows) for layer in own])
        assert torch.equal(WAYS["decode"](Linears(own, BFLOAT16), rows), expected)
        assert torch.equal(WAYS["train"](Linears(own, BFLOAT16), rows), expected)


def test_only_torch_s_own_layer_is_multiplied_for() -> None:
    class Doubled(nn.Linear):
        def forward(self, input: Tensor) -> Tensor:
            return 2 * super().forward(input)

    assert is_linear(nn.Linear(4, 5))
    assert not is_linear(Doubled(4, 5))
    assert not is_linear(nn.Embedding(4, 5))
    (own,), (around,) = layers(True, 4), adapted(layers(True, 4), (True,))
    assert base_of(own) is own
    assert base_of(around) is around.base_layer
    assert weights_of([own]) == [own.weight, own.bias]


# ------------------------------------------------------------ copies


@pytest.fixture
def makings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the products that are made, in order."""
    made: list[str] = []

    def counting(name: str) -> Callable[..., Any]:
        make = getattr(module, name)
        return lambda *given: made.append(name) or make(*given)

    for name in ("trainable", "packed", "packed_with_lora", "rounded"):
        monkeypatch.setattr(module, name, counting(name))
    return made


def move(many: Sequence[Any]) -> None:
    """Change everything that trains."""
    with torch.no_grad():
        for layer in many:
            for parameter in layer.parameters():
                if parameter.requires_grad:
                    parameter.add_(0.1)


@packs
@pytest.mark.usefixtures("however_small")
@pytest.mark.parametrize(
    ("which", "train", "decode"),
    [
        ("none", ["trainable"] * 3, ["packed"]),
        ("all", [], ["packed_with_lora"]),
        ("some", ["trainable"], ["packed_with_lora"]),
    ],
)
def test_a_copy_is_made_once_for_every_change_of_what_is_in_it(
    which: str, train: list[str], decode: list[str], makings: list[str]
) -> None:
    """In float32 each layer has a product for training; the frozen ones of an adapter are never made again."""
    many, rows = adapted(layers(True, 4, 2, 3), ADAPTERS[which]), torch.randn(5, 7)
    one = Linears(many, FLOAT32)
    assert makings == []
    for _ in range(2):
        one.train(rows)
    assert makings == ["trainable"] * 3
    one.decode(rows), one.decoder()(rows), one.decode(rows)
    assert makings == ["trainable"] * 3 + decode
    for _ in range(2):
        makings.clear()
        move(many)
        one.train(rows), one.train(rows), one.decode(rows), one.decoder()
        assert makings == train + decode
    makings.clear()
    one.drop_training(), one.drop_decoding(), one.train(rows), one.decode(rows)
    assert makings == train + decode


def held(kept: Sequence[Kept[Any]]) -> list[bool]:
    return [one._made is not None for one in kept]


@packs
@pytest.mark.usefixtures("however_small")
@pytest.mark.parametrize(
    ("which", "stays"), [("none", [False] * 3), ("all", [True] * 3), ("some", [True, False, True])]
)
def test_what_trains_is_let_go_and_the_rest_stays(which: str, stays: list[bool]) -> None:
    many, rows = adapted(layers(True, 4, 2, 3), ADAPTERS[which]), torch.randn(5, 7)
    one = Linears(many, FLOAT32)
    one.train(rows), one.decode(rows)
    one.drop_training()
    assert held(one._training) == stays
    assert held(one._decoding) == [True]
    one.drop_decoding()
    assert held(one._decoding) == [False]  # adapters train, and are in it


@packs
@pytest.mark.usefixtures("however_small")
@pytest.mark.parametrize("dtype", [FLOAT32, pytest.param(BFLOAT16, marks=packs_bfloat16)], ids=str)
@WHICH
def test_a_decoder_goes_on_with_the_weights_of_when_it_was_made(which: tuple[bool, ...], dtype: torch.dtype) -> None:
    many, rows = adapted(layers(True, 4, 2, 3), which), torch.randn(5, 7)
    one = Linears(many, dtype)
    with torch.no_grad():
        old = one.decoder()
        before = old(rows)
        one.drop_decoding()
        move(many)
        one.drop_decoding()
        assert torch.equal(old(rows), before)
        assert not torch.allclose(one.decoder()(rows), before, atol=0.05)


@pytest.mark.usefixtures("however_small")
@TYPES
@WHICH
def test_the_base_shares_the_copies_of_training(which: tuple[bool, ...], dtype: torch.dtype, near: float) -> None:
    own, rows = layers(True, 4, 2, 3), torch.randn(5, 7)
    one = Linears(adapted(own, which), dtype)
    base = one.without_adapters()
    assert not any(base.adapters)
    assert base._training is one._training
    with torch.no_grad(), autocast(dtype, "cpu"):
        one.decode(rows)
        found = [way(base, rows) for way in WAYS.values()]
    true = exactly(own, rows)
    for out in found:
        assert (out.double() - true).abs().max() < near * true.abs().max()
