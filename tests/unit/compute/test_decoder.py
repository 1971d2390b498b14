"""A token by our own operations is the token that transformers computes, whatever rows came and went before it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from exact.build import gpt2, language_model
from strop.compute import packed_linear as packed
from strop.compute.decoder import MODEL_TYPES, SharedPromptState, can_share_prompts, decoding_state
from strop.compute.decoder_layer import RMSNorm
from strop.compute.kv_cache import GROWTH
from strop.compute.padded_decoder import PaddedState
from strop.compute.prompt_groups import PromptGroups
from strop.policies.adapters import LoRA
from strop.policies.transformer import Transformer, adapt

VOCABULARY = 11
PROMPTS = [(1, 2, 3, 4, 5), (6, 7), (8,)]
ALIKE = [(1, 2, 3), (4, 5, 6)]
# rows that are kept, one list after another, with a token for each row between them
HISTORIES = {
    "a row a prompt": [[0, 1, 2]],
    "groups": [[0, 0, 1, 1, 2, 2]],
    "uneven groups, out of order": [[2, 0, 0, 1, 0]],
    "a row leaves": [[0, 0, 1, 1, 2, 2], [0, 5, 2, 3, 4]],
    "a prompt leaves": [[0, 0, 1, 1, 2, 2], [5, 4, 2, 3], [2, 3]],
    "the last prompt leaves, then the first": [[0, 0, 1, 1, 2, 2], [0, 1, 2, 3], [3, 2]],
    "beams branch": [[0], [0, 0, 0], [1, 1, 2], [2, 2, 0]],
    "one prompt of several": [[1, 1, 1]],
}


def model(kind: str, **more: Any) -> Any:
    """With six query heads."""
    return language_model(kind, heads=6, inner=20, **more)


def logits(state: Any, history: list[list[int]], tokens: int = 2) -> list[Tensor]:
    """Of every token of a history."""
    generator, found = torch.Generator().manual_seed(0), []
    for rows in history:
        state = state.keep(rows)
        for _ in range(tokens):
            found.append(state.step(torch.randint(VOCABULARY, (len(rows),), generator=generator)))
    return found


def both(policy: Transformer, prompts: list[tuple[int, ...]], history: list[list[int]], tokens: int = 2) -> float:
    """The largest gap between our operations and transformers' own."""
    policy.prefill(prompts)
    assert policy._decoding is not None
    read = [PaddedState.prefill(policy._decoding.model, prompts, policy.dtype)[1] for _ in range(2)]
    ours, theirs = decoding_state(read[0], policy._decoding.model), read[1]
    assert isinstance(ours, SharedPromptState)
    pairs = zip(logits(ours, history, tokens), logits(theirs, history, tokens), strict=True)
    return max((own_BV - their_BV).abs().max().item() for own_BV, their_BV in pairs)


@pytest.mark.parametrize("history", HISTORIES.values(), ids=HISTORIES.keys())
@pytest.mark.parametrize("kind", sorted(MODEL_TYPES))
def test_a_token_is_the_one_that_transformers_computes(kind: str, history: list[list[int]]) -> None:
    more = {"sliding_window": None} if kind == "mistral" else {}
    assert both(Transformer(model(kind, **more)), PROMPTS, history) < 2e-5


@pytest.mark.parametrize("heads", [1, 6])
@pytest.mark.parametrize("prompts", [ALIKE, [(3,)]], ids=["alike", "one"])
def test_however_many_heads_share_keys_and_with_no_padding(heads: int, prompts: list[tuple[int, ...]]) -> None:
    policy = Transformer(model("llama", key_heads=heads))
    assert both(policy, prompts, [[0, 0, 0], [0, 2]]) < 2e-5


def test_it_continues_past_the_caches_capacity() -> None:
    assert both(Transformer(model("llama")), PROMPTS, [[0, 0, 1]], tokens=GROWTH + 3) < 2e-5


def test_adapters_and_biases_are_multiplied_too() -> None:
    policy = adapt(model("llama", attention_bias=True, mlp_bias=True), LoRA(rank=2, alpha=4), 0, "float32")
    for parameter in policy.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    assert both(policy, PROMPTS, [[0, 1, 1]]) < 2e-5


@pytest.mark.parametrize("scale", [1e-12, 1e-2, 1.0, 1e4])
def test_numbers_are_divided_by_their_root_mean_square_and_epsilon(scale: float) -> None:
    source = torch.nn.RMSNorm(12)
    torch.nn.init.uniform_(source.weight)
    source.variance_epsilon = 1e-5
    x = scale * torch.randn(3, 2, 12)
    square = x.double().square().mean(dim=-1, keepdim=True)
    expected = x.double() / (square + 1e-5).sqrt() * source.weight.double()
    torch.testing.assert_close(RMSNorm(source)(x).double(), expected, rtol=1e-5, atol=0)


def test_scaled_positions_are_turned_as_the_model_turns_them() -> None:
    rope = {"rope_type": "yarn", "factor": 4.0, "rope_theta": 10000.0, "original_max_position_embeddings": 32}
    assert both(Transformer(model("llama", rope_parameters=rope)), PROMPTS, [[0, 1]]) < 2e-5


@pytest.mark.parametrize("lora", [None, LoRA(rank=2, alpha=4)], ids=["full", "lora"])
def test_in_bfloat16_the_gap_is_rounding(lora: LoRA | None) -> None:
    policy = adapt(model("llama"), lora, 0, "bfloat16")
    exact = Transformer(model("llama"))
    rounding = logits(policy.prefill(PROMPTS)[1], [[0, 0, 1]])
    true = logits(exact.prefill(PROMPTS)[1], [[0, 0, 1]])
    scale = true[0].abs().max().item()
    coarse = max((one - other).abs().max().item() for one, other in zip(rounding, true, strict=True))
    assert 1e-4 * scale < coarse < 0.05 * scale  # it is rounded, and not more than that
    assert both(policy, PROMPTS, [[0, 0, 1]]) < 0.05 * scale


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16], ids=str)
def test_a_model_of_another_type_decodes_as_transformers_does(dtype: torch.dtype) -> None:
    policy = Transformer(model("llama").to(dtype))
    state = policy.prefill(PROMPTS)[1]
    assert isinstance(state, PaddedState)
    logits_BV = policy.decode(policy.keep(state, [0, 0, 2]), torch.tensor([1, 2, 3]))[0]
    exact_BV = Transformer(model("llama")).prefill(PROMPTS)[1].keep([0, 0, 2]).step(torch.tensor([1, 2, 3]))
    assert (logits_BV.float() - exact_BV).abs().max() < 0.1 * exact_BV.abs().max()


def test_a_prompt_is_held_once_for_all_its_rows_and_leaves_with_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packed, "FEWEST", 1)  # joined products give keys and values as parts of what they make
    state = Transformer(model("llama")).prefill(PROMPTS)[1]
    assert isinstance(state, SharedPromptState)
    for states in state.prompts[0]:  # read as they stand: neither joined anew nor part of something larger
        assert states.flatten(0, 1).data_ptr() == states.data_ptr()
        assert states.untyped_storage().nbytes() == states.nbytes
    state = state.keep([0] * 4 + [1] * 4)
    key_KPTD = state.prompts[0][0]
    assert key_KPTD.shape[1] == 2
    assert state.generated[0].length == 0
    state.step(torch.zeros(8, dtype=torch.long))
    assert state.prompts[0][0] is key_KPTD  # nothing is copied
    assert state.keep([4]).prompts[0][0].shape[1] == 1


def test_grouping_and_ungrouping_are_inverse() -> None:
    for prompt_B, prompts in ([0, 0, 1, 1], 2), ([1, 0, 1], 2), ([2, 0, 1, 0], 3), ([0], 1):
        groups = PromptGroups.of(prompt_B, prompts)
        rows_KBRX = torch.arange(len(prompt_B) * 2 * 3 * 5).view(2, len(prompt_B), 3, 5)
        places = groups.group(rows_KBRX)
        assert places.shape == (2 * prompts, groups.group_size * 3, 5)
        assert torch.equal(groups.ungroup(places, 2), rows_KBRX)
        for row, owner in enumerate(prompt_B):  # each row stands with its prompt, whole
            mine = places.view(2, prompts, groups.group_size, 3, 5)[:, owner]
            assert any(torch.equal(mine[:, g], rows_KBRX[:, row]) for g in range(groups.group_size))


def test_rows_in_order_are_read_as_they_stand() -> None:
    groups = PromptGroups.of([0, 0, 1, 1], 2)
    rows_KBRX = torch.arange(2 * 4 * 3 * 5).view(2, 4, 3, 5)
    assert groups.group(rows_KBRX).data_ptr() == rows_KBRX.data_ptr()
    assert groups.group(rows_KBRX[..., :3]).data_ptr() == rows_KBRX.data_ptr()


def test_other_models_decode_as_transformers_does() -> None:
    assert not can_share_prompts(gpt2())
    assert isinstance(Transformer(gpt2(vocabulary=VOCABULARY)).prefill(PROMPTS)[1], PaddedState)
    windowed = model("mistral", sliding_window=4)
    assert not can_share_prompts(windowed)
    assert isinstance(Transformer(windowed).prefill(PROMPTS)[1], PaddedState)
    assert not can_share_prompts(model("qwen2", use_sliding_window=True, sliding_window=4))
    assert can_share_prompts(model("qwen2", use_sliding_window=False, sliding_window=4))
