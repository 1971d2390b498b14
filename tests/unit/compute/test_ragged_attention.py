"""One row of tokens gives what padded rows give: states and gradients, for every kind of model that is read so."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import AutoConfig

from exact.build import language_model
from strop.compute import ragged_attention as ragged
from strop.compute.ragged_attention import MODEL_TYPES, can_read_ragged, hidden_at_decisions, rounded_size


def backbone(kind: str, **more: Any) -> Any:
    """With four query heads."""
    return language_model(kind, heads=4, inner=24, **more).base_model


def padded(model: Any, tokens_BT: Tensor, decision_BT: Tensor) -> Tensor:
    """Every row for itself, as it stands."""
    hidden_BTH: Tensor = model(input_ids=tokens_BT, use_cache=False).last_hidden_state
    return hidden_BTH[:, :-1][decision_BT[:, 1:]]


def rows(*parts: tuple[list[int], list[int]]) -> tuple[Tensor, Tensor]:
    """Tokens and decisions of (prompt, answer) rows."""
    width = max(len(prompt) + len(answer) for prompt, answer in parts)
    tokens_BT = torch.zeros(len(parts), width, dtype=torch.long)
    decision_BT = torch.zeros(len(parts), width, dtype=torch.bool)
    for b, (prompt, answer) in enumerate(parts):
        tokens_BT[b, : len(prompt) + len(answer)] = torch.tensor(prompt + answer)
        decision_BT[b, len(prompt) : len(prompt) + len(answer)] = True
    return tokens_BT, decision_BT


LONG, SHORT = [1, 2, 3, 4, 5], [6, 7]
CASES = {
    "shared": rows((LONG, [1, 2]), (LONG, [3]), (SHORT, [1, 2, 3, 4, 5, 6]), (SHORT, [4]), (SHORT, [8, 9])),
    "one word each": rows((LONG, [1]), (LONG, [3]), (SHORT, [2])),
    "alone": rows((LONG, [1, 2]), (SHORT, [3, 4, 5])),
    "one": rows((SHORT, [3, 4, 5])),
    "without an answer": rows((LONG, [1, 2]), (LONG, []), (LONG, [3])),
    "nothing to read": rows((LONG, []), (LONG, [])),
    "long answers": rows(([1], [*range(1, 11)] * 2), ([1], [2])),
    "35 tokens, read as 36": rows((LONG * 4, [*range(1, 11)]), (LONG * 4, [2] * 7)),
    "35 tokens alone": rows((LONG * 4, [*range(1, 6)]), (LONG, [6] * 7)),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
@pytest.mark.parametrize("kind", sorted(MODEL_TYPES))
def test_states_and_gradients_are_those_of_padded_rows(kind: str, case: tuple[Tensor, Tensor]) -> None:
    model = backbone(kind)
    assert can_read_ragged(model.config, case[0].shape[1])
    found = []
    for read in (hidden_at_decisions, padded):
        model.zero_grad()
        states_NH = read(model, *case)
        (states_NH * torch.linspace(-1, 1, states_NH.shape[1])).sum().backward()  # type: ignore[no-untyped-call]
        found.append([states_NH.detach(), *(p.grad for p in model.parameters() if p.grad is not None)])
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


def test_a_decision_after_other_tokens_in_the_row() -> None:
    """A second turn: what the environment said stands between two answers."""
    tokens_BT, decision_BT = rows((LONG, [1, 2, 3, 4, 5]), (LONG, [2, 3]), (SHORT, [1]))
    decision_BT[0, 6:9] = False
    model = backbone("llama")
    torch.testing.assert_close(
        hidden_at_decisions(model, tokens_BT, decision_BT), padded(model, tokens_BT, decision_BT)
    )


@pytest.mark.parametrize("key_heads", [1, 2, 4])
def test_heads_may_share_keys(key_heads: int) -> None:
    model = backbone("llama", key_heads=key_heads)
    case = CASES["shared"]
    torch.testing.assert_close(hidden_at_decisions(model, *case), padded(model, *case))


def test_bfloat16_rounds_as_padded_rows_do() -> None:
    model, case = backbone("llama"), CASES["shared"]
    with torch.autocast("cpu", torch.bfloat16):
        ours, theirs = hidden_at_decisions(model, *case), padded(model, *case)
    torch.testing.assert_close(ours.float(), theirs.float(), rtol=0.05, atol=0.05)


def test_a_prompt_is_read_once_and_nothing_is_padded() -> None:
    model, seen = backbone("llama"), []
    model.register_forward_pre_hook(lambda _, __, given: seen.append(given["input_ids"].shape), with_kwargs=True)
    hidden_at_decisions(model, *CASES["shared"])
    hidden_at_decisions(model, *CASES["alone"])
    # an answer's last word predicts nothing
    assert seen == [(1, 5 + 2 + 1 + 0 + 5 + 0 + 1), (1, 5 + 1 + 2 + 2)]


def test_rows_are_rounded_up_by_a_sixteenth_at_most() -> None:
    model, seen = backbone("llama"), []
    model.register_forward_pre_hook(lambda _, __, given: seen.append(given["input_ids"].shape), with_kwargs=True)
    hidden_at_decisions(model, *CASES["35 tokens, read as 36"])
    hidden_at_decisions(model, *CASES["35 tokens alone"])
    assert seen == [(1, 36), (1, 36)]
    rounded = [rounded_size(num) for num in range(5000)]
    assert rounded[:33] == [*range(33)]
    assert all(num <= found <= num * 17 / 16 for num, found in enumerate(rounded))
    assert {num for num in rounded if 1024 < num <= 2048} == {*range(1088, 2049, 64)}


def test_the_model_keeps_its_own_attention(monkeypatch: pytest.MonkeyPatch) -> None:
    model = backbone("llama")
    hidden_at_decisions(model, *CASES["shared"])
    assert model.config._attn_implementation == "sdpa"

    def breaks(*_: Any) -> Tensor:
        raise RuntimeError("no memory")

    monkeypatch.setattr(ragged, "_whole_sequences", breaks)
    with pytest.raises(RuntimeError, match="no memory"):
        hidden_at_decisions(model, *CASES["shared"])
    assert model.config._attn_implementation == "sdpa"


def test_other_attention_is_read_as_padded_rows() -> None:
    case = CASES["shared"]
    windowed = backbone("mistral", sliding_window=4)
    assert not can_read_ragged(windowed.config, 5)
    assert can_read_ragged(windowed.config, 4)
    torch.testing.assert_close(hidden_at_decisions(windowed, *case), padded(windowed, *case), rtol=0, atol=0)
    eager = backbone("llama", attn_implementation="eager")
    assert not can_read_ragged(eager.config, 5)
    assert not can_read_ragged(AutoConfig.for_model("gpt2"), 5)
