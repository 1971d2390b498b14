"""Fused linear layers compute what each of them does, whoever asks first, packed or not."""

from __future__ import annotations

import pytest
import torch

from strop.compute.packed_linear import FusedLinear, FusedPart, PackedLinear, can_pack, fused_forward

packs = pytest.mark.skipif(not can_pack(torch.float32), reason="this torch has no oneDNN")


def layers(bias: bool, *widths: int) -> list[torch.nn.Linear]:
    """Random ones that read 7 numbers."""
    torch.manual_seed(0)
    return [torch.nn.Linear(7, width, bias=bias).requires_grad_(False) for width in widths]


@pytest.mark.parametrize("kind", [FusedLinear, pytest.param(PackedLinear, marks=packs)])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("shape", [(7,), (3, 7), (2, 5, 7)], ids=str)
def test_fused_layers_compute_what_each_does(shape: tuple[int, ...], bias: bool, kind: type[FusedLinear]) -> None:
    own = layers(bias, 4, 2, 3)
    fused = kind(own, torch.float32)
    fused.refresh()
    parts = [FusedPart(fused, index) for index in range(3)]
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
        torch.testing.assert_close(parts[index](given), own[index](given))


@pytest.mark.parametrize("asked", [(0, 1, 2), (0, 1), (2, 1, 0), (0,), (0, 3), (0, 1, 2, 3)], ids=str)
def test_outputs_stand_in_the_order_that_was_asked(asked: tuple[int, ...]) -> None:
    own = [*layers(False, 4, 2, 3), *layers(False, 5)]
    both = [FusedLinear(own[:3], torch.float32), FusedLinear(own[3:], torch.float32)]
    for fused in both:
        fused.refresh()
    parts = [*(FusedPart(both[0], index) for index in range(3)), FusedPart(both[1], 0)]
    given = torch.randn(3, 7)
    expected = torch.cat([own[index](given) for index in asked], dim=-1)
    torch.testing.assert_close(fused_forward(*(parts[index] for index in asked))(given), expected)
    assert (fused_forward(*(parts[index] for index in asked)) == both[0].forward) == (asked == (0, 1, 2))


def test_layers_that_read_the_same_input_are_multiplied_once(monkeypatch: pytest.MonkeyPatch) -> None:
    fused = FusedLinear(layers(False, 4, 2), torch.float32)
    fused.refresh()
    calls: list[int] = []
    multiply = fused.multiply
    monkeypatch.setattr(fused, "multiply", lambda rows: calls.append(len(rows)) or multiply(rows))
    one, other = FusedPart(fused, 0), FusedPart(fused, 1)
    given = torch.randn(3, 7)
    one(given), other(given)
    assert calls == [3]
    assert fused._input is None  # nothing is held on to
    one(given), other(given.clone())
    assert calls == [3, 3, 3]
    fused.release()
    assert fused._input is None


@pytest.mark.skipif(not can_pack(torch.bfloat16), reason="this processor does not multiply bfloat16")
def test_packed_bfloat16_is_as_near_as_its_rounding() -> None:
    torch.manual_seed(0)
    own = torch.nn.Linear(64, 32).requires_grad_(False)
    fused = PackedLinear([own], torch.bfloat16)
    fused.refresh()
    given = torch.randn(5, 64)
    out = fused.multiply(given)
    assert out.dtype == torch.bfloat16
    torch.testing.assert_close(out.float(), own(given), rtol=0.02, atol=0.02)
