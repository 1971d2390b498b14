"""A training pass computes what the model computes: numbers and gradients beside transformers' own pass."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from exact.build import batch_of, episode, language_model, llama, turn
from strop.compute import fused_model
from strop.compute import packed_linear as packed
from strop.compute import training_linear as module
from strop.compute.packed_linear import can_pack
from strop.compute.training_linear import TrainingLinear, fuse_for_training, multiply
from strop.functional.distributions import PLAIN, gather, logprobs_of
from strop.optimizer import AdamW
from strop.policies.adapters import LoRA
from strop.policies.transformer import Transformer, adapt
from strop.types import Batch, Heads, Term

needs_onednn = pytest.mark.skipif(not can_pack(torch.float32), reason="this torch has no oneDNN")
FULL_OR_LORA = pytest.mark.parametrize("lora", [None, LoRA(rank=2, alpha=4)], ids=["full", "lora"])
ANSWERS = [((1, 2, 3), (4, 5)), ((1, 2, 3), (6,)), ((7,), (8, 9, 1))]


@pytest.fixture(autouse=True)
def however_small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every matrix is multiplied by oneDNN, and gradients of weights come in more pieces than one."""
    monkeypatch.setattr(packed, "FEWEST", 1)
    monkeypatch.setattr(module, "WIDEST", 5)


def policy(lora: LoRA | None = None, dtype: str = "float32", **more: Any) -> Transformer:
    one = adapt(language_model("llama", heads=4, inner=20, **more), lora, 0, dtype)
    for name, parameter in one.model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.3)
    return one


def batch() -> Batch:
    return batch_of(*(episode(turn(prompt, answer)) for prompt, answer in ANSWERS))


def logprobs(heads: Heads) -> dict[str, Tensor]:
    assert heads.logits_NV is not None
    assert heads.logits_NV.dtype is torch.float32
    return {"logprobs": gather(logprobs_of(heads.logits_NV, PLAIN), heads.tokens_N)}


def ours(one: Transformer) -> Tensor:
    """Log-probs of all answers' tokens, in order."""
    part = batch()
    return one.heads(part, logprobs)["logprobs"][part.decision_BT]


def theirs(one: Transformer) -> Tensor:
    """The same by transformers' own pass, row by row, in float32."""
    found = []
    for prompt, answer in ANSWERS:
        probs_TV = one.model(torch.tensor([prompt + answer])).logits[0].log_softmax(dim=-1)
        found += [probs_TV[len(prompt) - 1 + t, token] for t, token in enumerate(answer)]
    return torch.stack(found)


def gradients(one: Transformer, read: Callable[[Transformer], Tensor]) -> tuple[Tensor, list[Tensor]]:
    """Log-probs, and the gradient of a weighted sum of them for everything that trains."""
    logprobs_N = read(one)
    loss = (logprobs_N * torch.linspace(-1, 2, len(logprobs_N))).sum()
    return logprobs_N.detach(), list(torch.autograd.grad(loss, one.parameters()))


def relative(found: Tensor, true: Tensor) -> float:
    return ((found - true).norm() / true.norm()).item()


@needs_onednn
@pytest.mark.parametrize("tied", [True, False], ids=["tied", "own head"])
@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no bias"])
@FULL_OR_LORA
def test_numbers_and_gradients_are_those_of_the_model(lora: LoRA | None, bias: bool, tied: bool) -> None:
    one = policy(lora, attention_bias=bias, mlp_bias=bias, tie_word_embeddings=tied)
    found_N, found = gradients(one, ours)
    true_N, true = gradients(one, theirs)
    torch.testing.assert_close(found_N, true_N, rtol=0, atol=1e-5)
    assert max(map(relative, found, true)) < 1e-5
    assert one._training is not None
    assert len(one._training.linears) == 2 * 7 + 1 + (2 * 7 * 2 if lora else 0)
    assert all(isinstance(fused, TrainingLinear) for fused in one._training.linears)


@FULL_OR_LORA
def test_in_bfloat16_gradients_are_rounded_and_logits_hardly(lora: LoRA | None) -> None:
    one, exact = policy(lora, "bfloat16"), policy(lora)
    found_N, found = gradients(one, ours)
    true_N, true = gradients(exact, theirs)
    assert 1e-4 < (found_N - true_N).abs().max() < 0.1
    assert 1e-4 < max(map(relative, found, true)) < 0.05
    assert all(grad.dtype is torch.float32 for grad in found)


def test_in_bfloat16_the_head_adds_no_rounding_of_its_own() -> None:
    one = policy(dtype="bfloat16", tie_word_embeddings=False)
    seen: list[Tensor] = []
    head = one.training_model().get_output_embeddings()
    hidden_NH = torch.randn(6, head.fused.originals[0][0].shape[1])
    seen.append(head(hidden_NH))
    with torch.autocast("cpu", torch.bfloat16):
        seen.append(head(hidden_NH))
    for logits_NV in seen:
        torch.testing.assert_close(logits_NV, hidden_NH @ one.model.lm_head.weight.T, rtol=0, atol=1e-5)


@FULL_OR_LORA
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_after_a_step_it_reads_the_new_weights(dtype: str, lora: LoRA | None) -> None:
    one = policy(lora, dtype)
    before_N = ours(one)
    AdamW(lr=0.05).build(one.parameters(), one.lock).step(batch(), [Term(-before_N.sum(), {})])
    with torch.no_grad():
        after_N, true_N = ours(one), theirs(one)
    assert (after_N - before_N).abs().max() > 0.2
    assert (after_N - true_N).abs().max() < (1e-4 if dtype == "float32" else 0.2)


@FULL_OR_LORA
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_copies_that_were_made_while_sampling_can_be_learned_through(dtype: str, lora: LoRA | None) -> None:
    one, other = policy(lora, dtype), policy(lora, dtype)
    with torch.inference_mode():
        one.prefill([(1, 2)])  # frees what trains
        ours(one)
    for found, expected in zip(gradients(one, ours)[1], gradients(other, ours)[1], strict=True):
        assert torch.equal(found, expected)


@FULL_OR_LORA
def test_what_trains_is_held_once_at_a_time(lora: LoRA | None) -> None:
    one = policy(lora, "bfloat16")
    ours(one)
    one.prefill([(1, 2)])
    assert one._training is not None
    held = [fused.is_trainable for fused in one._training.linears if fused.weight is not None]
    assert held == [False] * sum(not fused.is_trainable for fused in one._training.linears)


@pytest.mark.parametrize("widths", [(3,), (3, 2)], ids=str)
def test_a_model_may_write_into_what_a_layer_gives(widths: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    layers = [torch.nn.Linear(7, width) for width in widths]
    given, found = torch.randn(5, 7), []
    for joined in (True, False):
        fused = TrainingLinear(layers, torch.float32, torch.float32)
        fused.refresh()
        outs = [fused.output(i, given) if joined else layer(given) for i, layer in enumerate(layers)]
        for out in outs:
            out *= 2
        total = sum((out.square().sum() for out in outs), start=torch.zeros(()))
        found.append(torch.autograd.grad(total, [layer.weight for layer in layers]))
    for ours_OI, theirs_OI in zip(*found, strict=True):
        torch.testing.assert_close(ours_OI, theirs_OI, rtol=1e-5, atol=1e-5)


def test_layers_that_compute_something_else_stay_as_they_are() -> None:
    class Doubled(torch.nn.Linear):
        def forward(self, input: Tensor) -> Tensor:
            return 2 * super().forward(input)

    holder = torch.nn.ModuleDict({"plain": torch.nn.Linear(4, 5), "doubled": Doubled(4, 5)})
    assert [one.name for group in fused_model.linear_groups(holder) for one in group] == ["plain"]


def test_under_an_adapter_inputs_are_not_kept_for_frozen_weights() -> None:
    kept: list[tuple[int, ...]] = []
    layer = torch.nn.Linear(7, 3, bias=False)
    for trains in (True, False):
        layer.requires_grad_(trains)
        fused = TrainingLinear([layer], torch.float32, torch.float32)
        fused.refresh()
        with torch.autograd.graph.saved_tensors_hooks(lambda x: kept.append(tuple(x.shape)) or x, lambda x: x):
            fused.multiply(torch.randn(5, 7, requires_grad=True)).sum().backward()
        assert (layer.weight.grad is not None) is trains
        layer.weight.grad = None
    assert kept == [(5, 7), (3, 7), (3, 7)]


def test_the_adapter_is_off_for_the_reference_whoever_reads_first() -> None:
    plain = policy()
    for learns_first in (True, False):
        one = policy(LoRA(rank=2, alpha=4))
        if learns_first:
            ours(one)
        base = one.reference()
        with torch.no_grad():
            part = batch()
            found_N = base.heads(part, logprobs)["logprobs"][part.decision_BT]
            torch.testing.assert_close(found_N, ours(plain), rtol=0, atol=1e-5)
        assert (ours(one) - found_N).abs().max() > 0.01
        found_BV = base.prefill([(1, 2), (3,)])[0]
        torch.testing.assert_close(found_BV, plain.prefill([(1, 2), (3,)])[0], rtol=0, atol=1e-5)


def test_small_matrices_and_other_types_stay_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    head = torch.nn.Linear(2, 3)
    layers = [torch.nn.Linear(4, 5), torch.nn.Linear(4, 5)]
    doubles = [torch.nn.Linear(4, 5).double()]
    assert fuse_for_training(doubles, torch.float32, head) == []
    monkeypatch.setattr(packed, "FEWEST", 41)
    assert fuse_for_training(layers, torch.float32, head) == []
    assert [fused.dtype for fused in fuse_for_training([head], torch.bfloat16, head)] == [torch.float32]
    assert fuse_for_training([head], torch.float32, head) == []


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("rows", [0, 1, 4])
def test_matrices_of_any_order_in_memory(rows: int, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    wide, tall, bias = torch.randn(rows, 6).to(dtype), torch.randn(5, 6).to(dtype), torch.randn(5).to(dtype)
    true = wide.double() @ tall.double().T
    near = 1e-5 if dtype is torch.float32 else 0.1
    for left in (wide, wide.t().contiguous().t()):
        for right in (tall, tall.t().contiguous().t()):
            assert multiply(left, right).dtype is dtype
            torch.testing.assert_close(multiply(left, right).double(), true, rtol=0, atol=near)
            torch.testing.assert_close(multiply(left, right, bias).double(), true + bias, rtol=0, atol=near)


def test_a_tiny_policy_learns_in_bfloat16_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packed, "FEWEST", 2**18)
    one = adapt(llama(), None, 0, "bfloat16")
    part = batch_of(episode(turn((1,), (2, 3))))
    before = one.heads(part, logprobs)["logprobs"].sum()
    AdamW(lr=0.01).build(one.parameters(), one.lock).step(part, [Term(-before, {})])
    assert one.heads(part, logprobs)["logprobs"].sum() > before + 0.01
