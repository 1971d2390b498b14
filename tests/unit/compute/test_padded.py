"""A token by transformers' own pass with a cache is the one that it computes without, whatever rows came and went."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from exact.build import language_model
from strop.compute.kv_cache import GROWTH
from strop.compute.padded import PaddedState, left_padded
from strop.types import Tokens
from whole_rows import HISTORIES, PROMPTS, decoding_gap

NEAR = 5e-6
MIXED = {"sliding_window": 4, "layer_types": ["sliding_attention", "full_attention"]}
"""Every second layer of Gemma 3 sees so many tokens only."""


class Plainly:
    """A model that is decoded so."""

    def __init__(self, model: Any, dtype: torch.dtype = torch.float32) -> None:
        self.model, self.dtype = model, dtype

    def prefill(self, prompts: list[Tokens]) -> tuple[torch.Tensor, PaddedState]:
        return PaddedState.prefill(self.model, prompts, self.dtype)


@pytest.mark.parametrize("history", HISTORIES.values(), ids=HISTORIES.keys())
@pytest.mark.parametrize(
    ("kind", "options"), [("llama", {}), ("gpt2", {}), ("gemma3_text", MIXED)], ids=["llama", "gpt2", "gemma3"]
)
def test_a_token_is_the_one_that_whole_rows_give(kind: str, options: dict[str, Any], history: list[list[int]]) -> None:
    model = language_model(kind, **options)
    assert decoding_gap(Plainly(model), model, history) < NEAR


def test_a_model_that_counts_positions_by_the_mask_gets_it_as_it_is() -> None:
    from transformers import FalconConfig, FalconForCausalLM

    config = FalconConfig(
        vocab_size=11, hidden_size=24, num_hidden_layers=2, num_attention_heads=6, alibi=True, initializer_range=0.3
    )
    torch.manual_seed(0)
    model = FalconForCausalLM(config).eval()
    assert model.config._attn_implementation == "sdpa"
    assert decoding_gap(Plainly(model), model, [[0, 0, 1, 1, 2, 2], [0, 5, 2, 3, 4], [3, 2]]) < NEAR


def test_padding_is_kept_out_of_a_state_too() -> None:
    from transformers import FalconH1Config, FalconH1ForCausalLM

    sizes = {"vocab_size": 11, "hidden_size": 24, "intermediate_size": 20, "num_hidden_layers": 2}
    mamba = {"mamba_d_ssm": 24, "mamba_n_heads": 6, "mamba_d_head": 4, "mamba_d_state": 8}
    config = FalconH1Config(
        **sizes, **mamba, num_attention_heads=6, num_key_value_heads=2, head_dim=4, initializer_range=0.3
    )
    torch.manual_seed(0)
    model = FalconH1ForCausalLM(config).eval()
    for weight in model.parameters():
        torch.nn.init.normal_(weight, std=0.3)
    assert model.config._attn_implementation == "sdpa"
    assert decoding_gap(Plainly(model), model, [[0, 1, 2]]) < NEAR


def test_prompts_of_one_length_are_not_masked() -> None:
    model, masks = language_model(), []
    model.register_forward_pre_hook(lambda _, __, given: masks.append(given["attention_mask"]), with_kwargs=True)
    history, prompts = [[0, 0, 1], [2, 1]], [(1, 2, 3), (4, 5, 6)]
    assert decoding_gap(Plainly(model), language_model(), history, prompts) < NEAR
    assert masks == [None] * 5
    _, state = PaddedState.prefill(model, PROMPTS, torch.float32)
    assert masks.pop() is not None
    state.keep([0, 0]).step(torch.tensor([1, 2]))  # the padded rows have left
    assert masks.pop() is None


def test_it_continues_past_the_caches_capacity() -> None:
    model = language_model()
    assert decoding_gap(Plainly(model), model, [[0, 0, 1]], tokens=GROWTH + 3) < NEAR


def test_slots_that_no_row_needs_leave_when_others_come() -> None:
    plainly = Plainly(language_model())
    _, state = plainly.prefill([(1, 2, 3, 4, 5, 6, 7, 8), (1, 2)])
    for _ in range(3):
        state.step(torch.tensor([1] * len(state)))
    state = state.keep([1])  # 6 of its 11 slots are padding
    state = PaddedState.join([state, plainly.prefill([(1, 2, 3)])[1]])
    assert (len(state), state.padding_B, state.mask_BT.shape) == (2, [0, 2], (2, 5))
    assert state.mask_BT.sum(dim=1).tolist() == state.position_B.tolist() == [5, 3]


def test_in_bfloat16_it_is_rounded() -> None:
    model = language_model()
    assert 1e-4 < decoding_gap(Plainly(model, torch.bfloat16), model, [[0, 0, 1]]) < 0.05


def test_padding_stands_before_each_prompt() -> None:
    tokens_BT, mask_BT = left_padded([(1, 2, 3), (4,), (5, 0)])
    assert tokens_BT.tolist() == [[1, 2, 3], [0, 0, 4], [0, 5, 0]]
    assert mask_BT.tolist() == [[True, True, True], [False, False, True], [False, True, True]]
