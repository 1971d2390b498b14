"""A token of rows that share their prompts is the one that transformers computes, whatever rows came and went."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from exact.build import batch_of, episode, language_model, policy_over, turn
from strop.compute.fast_runner import MODEL_TYPES
from strop.compute.kv_cache import GROWTH
from strop.compute.shared_prompt import SharedPromptState
from strop.policies.adapters import LoRA
from strop.policies.transformer import Transformer
from whole_rows import BEGUN_ALIKE, HISTORIES, PROMPTS, decoding_gap

NEAR = 5e-6
"""Logits here are about 1 and differ by 0.1 and more where something is wrong."""
ALIKE = [(1, 2, 3), (4, 5, 6)]
ADAPTERS = {"full": None, "lora": LoRA(rank=2, alpha=4), "some": LoRA(rank=2, alpha=4, targets=("q_proj", "up_proj"))}
ADAPTED = pytest.mark.parametrize("lora", ADAPTERS.values(), ids=ADAPTERS.keys())
SCALED: dict[str, dict[str, Any]] = {
    "yarn": {"factor": 4.0, "original_max_position_embeddings": 32},
    "linear": {"factor": 4.0},
    "llama3": {
        "factor": 8.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 32,
    },
}


def gap(policy: Transformer, history: list[list[int]], **more: Any) -> float:
    assert isinstance(policy.prefill(PROMPTS)[1], SharedPromptState)
    return decoding_gap(policy.runner, policy.model, history, **more)


@pytest.mark.parametrize("history", HISTORIES.values(), ids=HISTORIES.keys())
@pytest.mark.parametrize("kind", sorted(MODEL_TYPES))
def test_a_token_is_the_one_that_transformers_computes(kind: str, history: list[list[int]]) -> None:
    assert gap(policy_over(language_model(kind)), history) < NEAR


@pytest.mark.parametrize("history", HISTORIES.values(), ids=HISTORIES.keys())
@pytest.mark.parametrize("kind", ["llama", "smollm3"])
def test_prompts_that_begin_alike_are_continued_each_for_itself(kind: str, history: list[list[int]]) -> None:
    assert gap(policy_over(language_model(kind)), history, prompts=BEGUN_ALIKE) < NEAR


@pytest.mark.parametrize("heads", [1, 6])
@pytest.mark.parametrize("prompts", [ALIKE, [(3,)]], ids=["alike", "one"])
def test_however_many_heads_share_keys_and_with_no_padding(heads: int, prompts: list[tuple[int, ...]]) -> None:
    policy = policy_over(language_model(key_heads=heads))
    assert gap(policy, [[0, 0, 0], [0, 2]], prompts=prompts) < NEAR


def test_it_continues_past_the_caches_capacity() -> None:
    assert gap(policy_over(language_model()), [[0, 0, 1]], tokens=GROWTH + 3) < NEAR


@ADAPTED
@pytest.mark.parametrize("is_large", [True, False], ids=["large", "small"])
@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no bias"])
def test_adapters_and_biases_are_multiplied_too(
    bias: bool, is_large: bool, lora: LoRA | None, request: pytest.FixtureRequest
) -> None:
    if is_large:
        request.getfixturevalue("however_small")
    assert gap(policy_over(language_model(attention_bias=bias, mlp_bias=bias), lora), [[0, 1, 1], [2, 0]]) < NEAR


@pytest.mark.parametrize("kind", SCALED)
def test_scaled_positions_are_turned_as_the_model_turns_them(kind: str) -> None:
    rope = {"rope_type": kind, "rope_theta": 10000.0, **SCALED[kind]}
    assert gap(policy_over(language_model(rope_parameters=rope)), [[0, 1]]) < NEAR


def test_heads_may_be_wider_than_their_share_of_the_model() -> None:
    assert gap(policy_over(language_model("qwen3", head_dim=8)), [[0, 1, 1], [2, 0]]) < NEAR


@ADAPTED
@pytest.mark.parametrize("is_large", [True, False], ids=["large", "small"])
def test_in_bfloat16_the_gap_is_rounding(is_large: bool, lora: LoRA | None, request: pytest.FixtureRequest) -> None:
    if is_large:
        request.getfixturevalue("however_small")
    found = gap(policy_over(language_model(), lora, "bfloat16"), [[0, 0, 1]])
    assert 1e-4 < found < 0.05  # it is rounded, and not more than that


def decoded(policy: Transformer, in_between: Any = lambda: None) -> Tensor:
    """Logits of five tokens; after the second something else happens."""
    _, state = policy.prefill(PROMPTS)
    state, found = state.keep([0, 0, 2]), []
    for t in range(5):
        found.append(state.step(torch.tensor([t, 1, 2])))
        if t == 1:
            in_between()
    return torch.stack(found)


@pytest.mark.parametrize("lora", [None, LoRA(rank=2, alpha=4)], ids=["full", "lora"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("is_plain", [True, False], ids=["plain", "fast"])
def test_a_state_goes_on_after_a_training_pass_took_the_copies(
    is_plain: bool, dtype: str, lora: LoRA | None, however_small: None
) -> None:
    policy = policy_over(language_model(), lora, dtype, is_plain=is_plain)

    def learn() -> None:
        part = batch_of(episode(turn((1, 2), (3, 4))))
        logits = policy.heads(part, lambda heads: {"first": heads.logits_NV[:, 0]})["first"]
        torch.autograd.grad(logits.sum(), policy.parameters())

    expected = decoded(policy)
    assert torch.equal(decoded(policy, learn), expected)
    assert torch.equal(decoded(policy, lambda: policy.prefill(PROMPTS)), expected)
    assert torch.equal(decoded(policy), expected)


def test_a_prompt_is_held_once_for_all_its_rows_and_leaves_with_the_last(however_small: None) -> None:
    state = policy_over(language_model()).prefill(PROMPTS)[1]
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


def test_a_joined_state_is_no_larger_than_its_rows_need() -> None:
    policy = policy_over(language_model())
    state = policy.prefill([tuple(range(10)), (3, 4)])[1].keep([0, 1, 1])
    for _ in range(5):
        state.step(torch.tensor([1, 2, 3]))
    state = SharedPromptState.join([state, policy.prefill([(5,)])[1]])
    assert (state.prompts[0][0].shape[1], state.prompt_B) == (3, [0, 1, 1, 2])  # one prompt for the two that share it
    assert state.first_B == [0, 0, 0, 5]
    state.step(torch.tensor([1, 2, 3, 4]))
    state = state.keep([3, 2])  # the long prompt has left
    state = SharedPromptState.join([state.keep([0]), policy.prefill([(6, 7, 8)])[1]])
    assert [key.shape[1:3] for key, _ in state.prompts] == [(2, 3)] * 2
    assert (state.generated[0].length, state.first_B) == (
        1,
        [0, 1],
    )  # five slots that none of them has written are gone
    assert state.position_B.tolist() == [2, 3]


def test_a_token_needs_no_gradient() -> None:
    _, state = policy_over(language_model()).prefill(PROMPTS)
    assert not state.step(torch.tensor([1, 2, 3])).requires_grad
