"""A product with copies of weights is what the layers compute, each for itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from linear_layers import adapted, exactly, layers
from strop.compute import products
from strop.compute.products import Product, can_pack, is_large, packed, packed_with_lora, rounded, stacked

packs = pytest.mark.skipif(not can_pack(torch.float32), reason="this torch has no oneDNN")
packs_bfloat16 = pytest.mark.skipif(not can_pack(torch.bfloat16), reason="this processor does not multiply bfloat16")
TYPES = pytest.mark.parametrize(
    ("dtype", "near"),
    [pytest.param(torch.float32, 1e-6, marks=packs), pytest.param(torch.bfloat16, 0.02, marks=packs_bfloat16)],
    ids=str,
)
SHAPES = pytest.mark.parametrize("shape", [(7,), (3, 7), (2, 5, 7), (0, 7), (2, 0, 7)], ids=str)
BIAS = pytest.mark.parametrize("bias", [True, False], ids=["bias", "no bias"])


@torch.no_grad()
def made(make: Callable[..., Product], *given: Any) -> Product:
    """A product, made as `Kept` makes it."""
    return make(*given)


def assert_near(found: Tensor, true: Tensor, near: float) -> None:
    assert found.shape == true.shape
    assert not found.requires_grad
    if true.numel():
        assert (found.double() - true).abs().max() <= near * true.abs().max()


@TYPES
@BIAS
@SHAPES
def test_packed_layers_compute_what_each_does(
    shape: tuple[int, ...], bias: bool, dtype: torch.dtype, near: float
) -> None:
    own, rows = layers(bias, 4, 2, 3), torch.randn(shape)
    found = made(packed, own, dtype)(rows)
    assert found.dtype is dtype
    assert_near(found, exactly(own, rows), near)


@BIAS
@SHAPES
@pytest.mark.parametrize("is_under_autocast", [True, False], ids=["in autocast", "outside"])
def test_a_rounded_layer_has_the_bits_of_autocast(is_under_autocast: bool, shape: tuple[int, ...], bias: bool) -> None:
    (own,), rows = layers(bias, 4), torch.randn(shape)
    product = made(rounded, own, torch.bfloat16)
    with torch.autocast("cpu", torch.bfloat16):
        expected = own(rows)
        found = product(rows) if is_under_autocast else None
    found = product(rows) if found is None else found
    assert found.dtype is torch.bfloat16
    assert torch.equal(found, expected)


def test_a_layer_in_its_own_type_is_not_rounded_under_autocast_either() -> None:
    (own,), rows = layers(True, 4), torch.randn(3, 7)
    product = made(rounded, own, torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        found = product(rows)
    assert torch.equal(found, own(rows))


@TYPES
@BIAS
@pytest.mark.parametrize("which", [(True, True, True), (True, False, True), (False, True, False)], ids=str)
@SHAPES
def test_layers_and_their_adapters_are_multiplied_as_peft_does(
    shape: tuple[int, ...], which: tuple[bool, ...], bias: bool, dtype: torch.dtype, near: float
) -> None:
    own, rows = layers(bias, 4, 2, 3), torch.randn(shape)
    many = adapted(own, which)
    adapters = [one if is_adapted else None for one, is_adapted in zip(many, which, strict=True)]
    found = made(packed_with_lora, own, adapters, dtype)(rows)
    assert found.dtype is dtype
    assert_near(found, exactly(many, rows), near)


@TYPES
def test_a_product_keeps_the_weights_of_when_it_was_made(dtype: torch.dtype, near: float) -> None:
    own, rows = layers(True, 4, 2), torch.randn(3, 7)
    adapters = adapted(own, (True, True))
    many = [made(packed, some, dtype) for some in (own, own[:1])]
    many += [made(packed_with_lora, own, adapters, dtype), made(rounded, own[0], torch.bfloat16)]
    before = [product(rows) for product in many]
    with torch.no_grad():
        for module in (*own, *adapters):
            for parameter in module.parameters():
                parameter.zero_()
    for product, expected in zip(many, before, strict=True):
        assert torch.equal(product(rows), expected)
        assert expected.abs().max() > 0.1


def test_tensors_are_stacked_in_one_type() -> None:
    one, other = torch.randn(2, 3), torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    for parts, dtype in ([one, other], torch.bfloat16), ([other, one], torch.float32), ([other], torch.float32):
        with torch.no_grad():
            found = stacked(parts, dtype)
        assert torch.equal(found, torch.cat([part.detach().to(dtype) for part in parts]))
        assert not found.requires_grad
    assert stacked([one], torch.float32).data_ptr() == one.data_ptr()


def test_layers_are_large_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(products, "FEWEST", 7 * 6)
    assert is_large(layers(True, 4, 2))
    assert not is_large(layers(True, 4, 1))
