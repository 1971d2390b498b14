"""Attention of prompts is each prompt's own attention, and what decoding needs of it is kept."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from strop.compute.prompt_attention import PromptAttention
from strop.compute.ragged_attention import RaggedBatch
from strop.types import Tokens

SCALING = 0.3
PROMPTS: dict[str, list[Tokens]] = {
    "equal": [(1, 2, 3), (4, 5, 6), (7, 8, 9)],
    "padded": [(1, 2, 3, 4, 5), (6,), (7, 8, 9)],
    "begun alike": [(1, 2, 3, 4), (1, 2, 3, 5, 6), (1, 2, 3, 7)],
    "one begins another": [(1, 2, 3), (1, 2, 3, 4, 5), (1, 2, 3, 4)],
    "one": [(1, 2, 3, 4, 5)],
    "one token each": [(1,), (2,)],
}
CASES = pytest.mark.parametrize("prompts", PROMPTS.values(), ids=PROMPTS.keys())


def states(ragged: RaggedBatch, dtype: torch.dtype, heads: int = 6) -> list[Tensor]:
    """Queries, keys and values of each token of the row, with two key heads."""
    torch.manual_seed(0)
    many = [torch.randn(1, of, len(ragged.token_S), 4) for of in (heads, 2, 2)]
    return [*many[:2], many[2].to(dtype)]  # autocast leaves rotated queries and keys in float32


def places(ragged: RaggedBatch, prompts: list[Tokens]) -> list[list[int]]:
    """Where the tokens of each prompt stand in the row: token by token, those of a beginning first."""
    begun = ragged.levels[0].size if len(ragged.levels) > 1 else 0
    starts = (ragged.levels[-1].sequences.start_B + begun).tolist()
    return [
        [*range(begun), *range(start, start + len(prompt) - begun)]
        for start, prompt in zip(starts, prompts, strict=True)
    ]


def slowly(query_HTD: Tensor, key_KTD: Tensor, value_KTD: Tensor) -> Tensor:
    """One prompt without padding [T, H * D], token by token in float64."""
    repeats, outs = len(query_HTD) // len(key_KTD), []
    for t in range(query_HTD.shape[1]):
        seen = [one.double()[:, : t + 1].repeat_interleave(repeats, dim=0) for one in (key_KTD, value_KTD)]
        weight = (seen[0] @ query_HTD.double()[:, t, :, None] * SCALING).softmax(dim=1)
        outs.append((weight.mT @ seen[1]).flatten())
    return torch.stack(outs)


@CASES
@pytest.mark.parametrize(("dtype", "near"), [(torch.float32, 1e-6), (torch.bfloat16, 0.02)], ids=str)
@pytest.mark.parametrize("heads", [2, 6])
def test_a_prompt_is_read_as_if_alone(prompts: list[Tokens], heads: int, dtype: torch.dtype, near: float) -> None:
    attend = PromptAttention(RaggedBatch.of_prompts(prompts, heads // 2))
    query, key, value = states(attend.prompts, dtype, heads)
    out_SX = attend(query, key, value, SCALING)[0]
    assert out_SX.dtype is dtype
    for prompt, place in zip(prompts, places(attend.prompts, prompts), strict=True):
        assert attend.prompts.token_S[place].tolist() == list(prompt)
        assert attend.prompts.position_S[place].tolist() == [*range(len(prompt))]
        true = slowly(*(one[0][:, place] for one in (query, key, value)))
        assert (out_SX[place].double() - true).abs().max() < near * true.abs().max()


@CASES
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_keys_and_values_of_each_layer_are_kept_heads_first_and_as_attention_read_them(
    prompts: list[Tokens], dtype: torch.dtype
) -> None:
    attend, layers = PromptAttention(RaggedBatch.of_prompts(prompts, 3)), []
    for _ in range(2):
        # one product gives queries, keys and values side by side
        whole = torch.randn(1, len(attend.prompts.token_S), 10, 4).to(dtype)
        layers.append([one.transpose(1, 2) for one in torch.split(whole, [6, 2, 2], dim=2)])
        attend(*layers[-1], SCALING)
    assert attend.mask_PT.sum(dim=1).tolist() == [len(prompt) for prompt in prompts]
    for kept, (_, key, value) in zip(attend.keys_and_values, layers, strict=True):
        for found_KPTD, given in zip(kept, (key, value), strict=True):
            assert found_KPTD.dtype is torch.float32
            assert found_KPTD.is_contiguous()
            assert found_KPTD.untyped_storage().nbytes() == found_KPTD.nbytes  # and not a part of the whole
            for row, place in enumerate(places(attend.prompts, prompts)):
                assert torch.equal(found_KPTD[:, row, attend.mask_PT[row]], given[0][:, place].float())
