"""Attention of padded prompts is each prompt's own attention, and what decoding needs of it is kept."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from strop.compute.prompt_attention import PromptAttention

SCALING = 0.3


def states(dtype: torch.dtype, heads: int = 6) -> list[Tensor]:
    """Queries, keys and values of three prompts of up to five tokens, with two key heads."""
    torch.manual_seed(0)
    many = [torch.randn(3, of, 5, 4) for of in (heads, 2, 2)]
    return [*many[:2], many[2].to(dtype)]  # autocast leaves rotated queries and keys in float32


def slowly(query_HTD: Tensor, key_KTD: Tensor, value_KTD: Tensor) -> Tensor:
    """One prompt without padding [T, H * D], token by token in float64."""
    repeats, outs = len(query_HTD) // len(key_KTD), []
    for t in range(query_HTD.shape[1]):
        seen = [one.double()[:, : t + 1].repeat_interleave(repeats, dim=0) for one in (key_KTD, value_KTD)]
        weight = (seen[0] @ query_HTD.double()[:, t, :, None] * SCALING).softmax(dim=1)
        outs.append((weight.mT @ seen[1]).flatten())
    return torch.stack(outs)


@pytest.mark.parametrize(("dtype", "near"), [(torch.float32, 1e-6), (torch.bfloat16, 0.02)], ids=str)
@pytest.mark.parametrize("lengths", [(5, 5, 5), (5, 1, 3)], ids=str)
@pytest.mark.parametrize("heads", [2, 6])
def test_a_prompt_is_read_as_if_alone(heads: int, lengths: tuple[int, ...], dtype: torch.dtype, near: float) -> None:
    mask_PT = torch.arange(5) >= 5 - torch.tensor(lengths).unsqueeze(1)
    attend = PromptAttention.of(mask_PT)
    assert (attend.mask_P1TT is None) is (min(lengths) == 5)
    query, key, value = states(dtype, heads)
    out = attend(query, key, value, SCALING)
    assert out.dtype is dtype
    for row, length in enumerate(lengths):
        true = slowly(*(one[row, :, 5 - length :] for one in (query, key, value)))
        assert (out[row, 5 - length :].double() - true).abs().max() < near * true.abs().max()


def test_a_prompt_of_one_token() -> None:
    query, key, value = (one[:, :, :1] for one in states(torch.float32))
    out = PromptAttention.of(torch.ones(3, 1, dtype=torch.bool))(query, key, value, SCALING)
    torch.testing.assert_close(out.view(3, 2, 3, 4), value.expand(-1, -1, 3, -1))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_keys_and_values_of_each_layer_are_kept_heads_first_and_as_attention_read_them(dtype: torch.dtype) -> None:
    attend, layers = PromptAttention.of(torch.ones(3, 5, dtype=torch.bool)), []
    for _ in range(2):
        whole = torch.randn(3, 5, 10, 4).to(dtype)  # one product gives queries, keys and values side by side
        layers.append([one.transpose(1, 2) for one in torch.split(whole, [6, 2, 2], dim=2)])
        attend(*layers[-1], SCALING)
    for kept, (_, key, value) in zip(attend.keys_and_values, layers, strict=True):
        for found, given in zip(kept, (key, value), strict=True):
            assert found.dtype is torch.float32
            assert torch.equal(found, given.transpose(0, 1).float())
            assert found.is_contiguous()
            assert found.untyped_storage().nbytes() == found.nbytes  # and not a part of the whole
