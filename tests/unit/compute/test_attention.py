"""Attention in whole products is attention: beside a slow one in float64, forward and backward."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from strop.compute import attention as module
from strop.compute.attention import attention

ROWS, PROMPT, WIDTH, SIZE = 3, 4, 5, 8
SCALING = 0.3


def slowly(query: Tensor, key: Tensor, value: Tensor, seen: Tensor) -> Tensor:
    """Query by query; `seen` [B, W, S] says which keys."""
    repeats = query.shape[1] // key.shape[1]
    out = torch.empty_like(query)
    for b, h, w in torch.cartesian_prod(*map(torch.arange, query.shape[:3])).tolist():
        at = seen[b, w].nonzero().flatten()
        weight = (key[b, h // repeats, at] @ query[b, h, w] * SCALING).softmax(dim=0)
        out[b, h, w] = weight @ value[b, h // repeats, at]
    return out


def states(dtype: torch.dtype, heads: int, length: int) -> list[Tensor]:
    """Queries, keys and values of two key heads."""
    torch.manual_seed(0)
    shapes = (ROWS, heads, WIDTH, SIZE), (ROWS, 2, length, SIZE), (ROWS, 2, length, SIZE)
    return [torch.randn(shape).to(dtype).requires_grad_() for shape in shapes]


def read(given: list[Tensor], seen: Tensor, is_causal: bool) -> list[Tensor]:
    """What comes out, and the gradients of the three."""
    repeats = given[0].shape[1] // 2
    mask = None if is_causal else seen.repeat(1, repeats, 1).unsqueeze(1)
    return with_gradients(given, attention(*given, mask, SCALING))


def with_gradients(given: list[Tensor], out: Tensor) -> list[Tensor]:
    torch.manual_seed(1)
    return [out, *torch.autograd.grad(out, given, torch.randn(out.shape).to(out.dtype))]


def causal() -> Tensor:
    return torch.ones(WIDTH, WIDTH, dtype=torch.bool).tril().expand(ROWS, -1, -1)


def behind_prompts() -> Tensor:
    """Prompts of 4, 2 and 1 tokens, and the rest up to each token itself."""
    prompt_BP = torch.arange(PROMPT) < torch.tensor([4, 2, 1]).unsqueeze(1)
    return torch.cat([prompt_BP.unsqueeze(1).expand(-1, WIDTH, -1), causal()], dim=2)


@pytest.mark.parametrize("heads", [2, 6])
@pytest.mark.parametrize("is_causal", [True, False], ids=["causal", "masked"])
@pytest.mark.parametrize(("dtype", "near"), [(torch.float32, 1e-6), (torch.bfloat16, 0.02)], ids=str)
def test_it_is_attention(dtype: torch.dtype, near: float, is_causal: bool, heads: int) -> None:
    seen = causal() if is_causal else behind_prompts()
    given = states(dtype, heads, seen.shape[2])
    exact = [one.detach().double().requires_grad_() for one in given]
    expected = with_gradients(exact, slowly(*exact, seen))
    for found, true in zip(read(given, seen, is_causal), expected, strict=True):
        assert found.dtype is dtype
        assert (found.double() - true).abs().max() < near * true.abs().max()


def test_rows_go_through_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    given, seen = states(torch.bfloat16, 2, PROMPT + WIDTH), behind_prompts()
    whole = read(given, seen, is_causal=False)
    monkeypatch.setattr(module, "BLOCK_BYTES", 4 * 2 * WIDTH * (PROMPT + WIDTH))  # one row's
    for found, expected in zip(read(given, seen, is_causal=False), whole, strict=True):
        assert torch.equal(found, expected)


def test_what_is_too_large_is_left_to_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> None:
        raise AssertionError("whole products of a row that is too large")

    monkeypatch.setattr(module._Attention, "apply", never)
    given, seen = states(torch.bfloat16, 6, PROMPT + WIDTH), behind_prompts()
    with pytest.raises(AssertionError, match="too large"):
        read(given, seen, is_causal=False)
    monkeypatch.setattr(module, "BLOCK_BYTES", 4 * 6 * WIDTH * (PROMPT + WIDTH) - 1)
    read(given, seen, is_causal=False)


def test_an_empty_batch() -> None:
    empty = torch.zeros(2, 2, 0, SIZE, dtype=torch.bfloat16)
    assert attention(empty, empty, empty, None, SCALING).shape == empty.shape
