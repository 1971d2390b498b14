"""A torch without oneDNN's private operators computes the same, more slowly, by its public ones."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from exact.build import batch_of, episode, gpt2, language_model, policy_over, turn
from strop.compute.products import can_pack
from strop.functional.distributions import PLAIN, gather, logprobs_of
from strop.policies.adapters import LoRA
from strop.policies.transformer import Transformer
from strop.types import Heads

NAMES = ("_reorder_linear_weight", "_linear_pointwise")
ABSENT = {"both": (), "the order": NAMES[1:], "the product": NAMES[:1]}
"""What is left of them."""
ADAPTER = LoRA(rank=2, alpha=4)
POLICIES: dict[str, Callable[[str], Transformer]] = {
    "full": lambda dtype: policy_over(language_model("qwen2"), None, dtype),
    "lora": lambda dtype: policy_over(language_model("qwen2"), ADAPTER, dtype),
    "the plain path": lambda dtype: policy_over(gpt2(vocabulary=11), None, dtype),
}


def take_away(monkeypatch: pytest.MonkeyPatch, left: tuple[str, ...] = ()) -> None:
    """The operators are gone, but for those that are left. They fail: half of them is of no use."""

    def never(*_: object) -> None:
        raise AssertionError("an operator without its other half")

    monkeypatch.setattr(torch.ops, "mkldnn", SimpleNamespace(**dict.fromkeys(left, never)))


def logprobs(heads: Heads) -> dict[str, Tensor]:
    assert heads.logits_NV is not None
    return {"logprobs": gather(logprobs_of(heads.logits_NV, PLAIN), heads.tokens_N)}


def numbers(policy: Transformer) -> list[Tensor]:
    """Logits of sampling, log-probs of training, and a gradient."""
    first_BV, state = policy.prefill([(1, 2, 3), (4,)])
    found = [first_BV, policy.decode(policy.keep(state, [0, 0, 1]), torch.tensor([4, 5, 6]))[0]]
    batch = batch_of(episode(turn((1, 2, 3), (4, 5))), episode(turn((1, 2, 3), (6,))), episode(turn((7,), (8, 9, 1))))
    found.append(policy.heads(batch, logprobs)["logprobs"])
    gradients = torch.autograd.grad(found[-1].sum(), policy.parameters(), allow_unused=True)
    return [*found, torch.cat([one.flatten() for one in gradients if one is not None])]


@pytest.mark.parametrize("left", ABSENT.values(), ids=ABSENT.keys())
def test_it_is_noticed(left: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    take_away(monkeypatch, left)
    assert not can_pack(torch.float32)
    assert not can_pack(torch.bfloat16)


@pytest.mark.skipif(not can_pack(torch.float32), reason="this torch has no oneDNN")
@pytest.mark.parametrize(("dtype", "near"), [("float32", 1e-6), ("bfloat16", 0.02)])
@pytest.mark.parametrize("name", POLICIES)
def test_the_numbers_are_the_same(
    name: str, dtype: str, near: float, however_small: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = numbers(POLICIES[name](dtype))
    take_away(monkeypatch)
    for found, true in zip(numbers(POLICIES[name](dtype)), expected, strict=True):
        assert ((found - true).norm() / true.norm()).item() < near


def test_a_processor_that_cannot_tell_what_it_can_do_is_not_asked_for_bfloat16(monkeypatch: Any) -> None:
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert not can_pack(torch.bfloat16)
