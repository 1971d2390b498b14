"""A product of a training pass: its numbers and gradients beside torch's own in float64."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor, nn

from strop.compute.products import Product
from strop.compute.training_product import multiply, trainable

FLOAT32, BFLOAT16 = torch.float32, torch.bfloat16
TYPES = pytest.mark.parametrize(
    ("dtype", "backward_dtype", "near", "gradient_near"),
    [(FLOAT32, FLOAT32, 1e-6, 1e-6), (BFLOAT16, BFLOAT16, 0.01, 0.01), (FLOAT32, BFLOAT16, 1e-6, 0.01)],
    ids=["float32", "bfloat16", "head in bfloat16"],
)


def layers(widths: Sequence[int], bias: bool = True) -> list[nn.Linear]:
    """Random ones that read 6 numbers."""
    torch.manual_seed(0)
    return [nn.Linear(6, width, bias=bias) for width in widths]


@torch.no_grad()
def product_of(own: Sequence[nn.Linear], dtype: torch.dtype, backward_dtype: torch.dtype) -> Product:
    """A product, made as `Kept` makes it."""
    return trainable(own, dtype, backward_dtype)


def relative(found: Tensor, true: Tensor) -> float:
    assert found.shape == true.shape
    return ((found.double() - true.double()).norm() / true.double().norm().clamp(min=1e-12)).item()


@TYPES
@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no bias"])
@pytest.mark.parametrize("widths", [(4,), (4, 2, 3), (12, 3)], ids=str)
@pytest.mark.parametrize("shape", [(6,), (3, 6), (2, 5, 6)], ids=str)
def test_numbers_and_gradients_are_those_of_torch_in_float64(
    shape: tuple[int, ...],
    widths: tuple[int, ...],
    bias: bool,
    dtype: torch.dtype,
    backward_dtype: torch.dtype,
    near: float,
    gradient_near: float,
) -> None:
    own, given = layers(widths, bias), torch.randn(shape, requires_grad=True)
    learnt = [given, *(parameter for layer in own for parameter in layer.parameters())]
    out = product_of(own, dtype, backward_dtype)(given)
    assert out.dtype is dtype
    exact = given.detach().double().requires_grad_()
    copies = [nn.Linear(6, layer.out_features, bias=bias).double() for layer in own]
    for copy, layer in zip(copies, own, strict=True):
        copy.load_state_dict(layer.state_dict())
    true = torch.cat([copy(exact) for copy in copies], dim=-1)
    weights = torch.linspace(-1, 2, true.numel(), dtype=torch.float64).view(true.shape)
    found = torch.autograd.grad(out, learnt, weights.to(dtype))
    of = [exact, *(parameter for copy in copies for parameter in copy.parameters())]
    assert relative(out, true) < near
    for one, expected in zip(found, torch.autograd.grad(true, of, weights), strict=True):
        assert one.dtype is FLOAT32
        assert relative(one, expected) < gradient_near


@TYPES
@pytest.mark.parametrize("shape", [(0, 6), (2, 0, 6)], ids=str)
def test_no_rows(
    shape: tuple[int, ...], dtype: torch.dtype, backward_dtype: torch.dtype, near: float, gradient_near: float
) -> None:
    own = layers((4, 2))
    out = product_of(own, dtype, backward_dtype)(torch.zeros(shape, requires_grad=True))
    assert out.shape == (*shape[:-1], 6)
    out.sum().backward()
    assert all(torch.equal(layer.weight.grad, torch.zeros(layer.weight.shape)) for layer in own)


@pytest.mark.parametrize("dtype", [FLOAT32, BFLOAT16], ids=str)
def test_what_is_frozen_gets_no_gradient_and_its_input_is_not_kept(dtype: torch.dtype) -> None:
    for trains in [(True, True), (True, False), (False, False)]:
        own, kept = layers((4, 2)), list[tuple[int, ...]]()
        for layer, learns in zip(own, trains, strict=True):
            layer.requires_grad_(learns)
        given = torch.randn(5, 6, requires_grad=True)
        with torch.autograd.graph.saved_tensors_hooks(
            lambda x, kept=kept: kept.append(tuple(x.shape)) or x, lambda x: x
        ):
            product_of(own, dtype, dtype)(given).sum().backward()
        assert [layer.weight.grad is not None for layer in own] == list(trains)
        assert [layer.bias.grad is not None for layer in own] == list(trains)
        assert given.grad is not None
        assert ((5, 6) in kept) is any(trains)
        assert (6, 6) in kept  # the weights


def test_an_input_that_learns_nothing_gets_no_gradient() -> None:
    (own,), given = layers((4,)), torch.randn(5, 6)
    product_of([own], FLOAT32, FLOAT32)(given).sum().backward()
    assert given.grad is None
    torch.testing.assert_close(own.weight.grad, given.sum(dim=0).expand(4, -1))


def test_a_single_matrix_in_its_own_type_is_not_copied() -> None:
    (own,), given = layers((4,)), torch.randn(5, 6)
    product = product_of([own], FLOAT32, FLOAT32)
    with torch.no_grad():
        own.weight.mul_(2), own.bias.mul_(2)
        torch.testing.assert_close(product(given), own(given))


def test_weights_that_change_before_the_backward_pass_are_noticed() -> None:
    (own,), given = layers((4,)), torch.randn(5, 6, requires_grad=True)
    out = product_of([own], FLOAT32, FLOAT32)(given)
    with torch.no_grad():
        own.weight.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        out.sum().backward()


@pytest.mark.parametrize("dtype", [FLOAT32, BFLOAT16], ids=str)
@pytest.mark.parametrize("rows", [0, 1, 4])
def test_matrices_of_any_order_in_memory(rows: int, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    wide, tall, bias = torch.randn(rows, 6).to(dtype), torch.randn(5, 6).to(dtype), torch.randn(5).to(dtype)
    true = wide.double() @ tall.double().T
    near = 1e-5 if dtype is FLOAT32 else 0.1
    for left in (wide, wide.t().contiguous().t()):
        for right in (tall, tall.t().contiguous().t()):
            assert multiply(left, right).dtype is dtype
            torch.testing.assert_close(multiply(left, right).double(), true, rtol=0, atol=near)
            torch.testing.assert_close(multiply(left, right, bias).double(), true + bias, rtol=0, atol=near)
