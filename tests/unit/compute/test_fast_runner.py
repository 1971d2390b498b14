"""The processor's own path computes what the model computes: numbers and gradients beside transformers' own pass."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from answer_rows import CASES, LONG, SHORT, rows
from exact.build import batch_of, episode, gpt2, language_model, llama, policy_over, turn
from strop.compute import linears
from strop.compute.fast_runner import MODEL_TYPES, FastRunner, can_run_fast
from strop.compute.products import can_pack
from strop.functional.distributions import PLAIN, gather, logprobs_of
from strop.optimizer import AdamW
from strop.policies.adapters import LoRA
from strop.policies.transformer import Transformer
from strop.types import Batch, Heads, Term
from whole_rows import hidden_before
from whole_rows import logprobs as whole_logprobs

packs = pytest.mark.skipif(not can_pack(torch.float32), reason="this torch has no oneDNN")
packs_bfloat16 = pytest.mark.skipif(not can_pack(torch.bfloat16), reason="this processor does not multiply bfloat16")
FULL_OR_LORA = pytest.mark.parametrize("lora", [None, LoRA(rank=2, alpha=4)], ids=["full", "lora"])
TYPES = pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
PACKED_TYPES = pytest.mark.parametrize("dtype", ["float32", pytest.param("bfloat16", marks=packs_bfloat16)])


def batch() -> Batch:
    answers = [((1, 2, 3), (4, 5)), ((1, 2, 3), (6,)), ((7,), (8, 9, 1))]
    return batch_of(*(episode(turn(prompt, answer)) for prompt, answer in answers))


def logprobs(heads: Heads) -> dict[str, Tensor]:
    assert heads.logits_NV is not None
    assert heads.logits_NV.dtype is torch.float32
    return {"logprobs": gather(logprobs_of(heads.logits_NV, PLAIN), heads.tokens_N)}


def ours(policy: Any) -> Tensor:
    """Log-probs of all answers' tokens, in order."""
    part = batch()
    return policy.heads(part, logprobs)["logprobs"][part.decision_BT]


def theirs(policy: Transformer) -> Tensor:
    """The same by transformers' own pass, in float32."""
    return whole_logprobs(policy.model, batch())


def gradients(policy: Transformer, read: Callable[[Transformer], Tensor]) -> tuple[Tensor, list[Tensor]]:
    """Log-probs, and the gradient of a weighted sum of them for everything that trains."""
    logprobs_N = read(policy)
    loss = (logprobs_N * torch.linspace(-1, 2, len(logprobs_N))).sum()
    return logprobs_N.detach(), list(torch.autograd.grad(loss, policy.parameters()))


def relative(found: Tensor, true: Tensor) -> float:
    return ((found - true).norm() / true.norm()).item()


# ------------------------------------------------------------ hidden states


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
@pytest.mark.parametrize("kind", sorted(MODEL_TYPES))
def test_states_and_gradients_are_those_of_whole_rows(kind: str, case: tuple[Tensor, Tensor]) -> None:
    model, found = language_model(kind), []
    runner = FastRunner.of(model, torch.float32)
    for states_NH in (runner.hidden_at(*case), hidden_before(model, *case)):
        model.zero_grad()
        (states_NH * torch.linspace(-1, 1, states_NH.shape[1])).sum().backward()
        found.append([states_NH.detach(), *(p.grad for p in model.base_model.parameters())])
    for one, other in zip(*found, strict=True):
        if other is None:  # nothing to read, or an embedding that nobody needs
            assert one is None
        else:
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_a_decision_after_other_tokens_in_the_row() -> None:
    """A second turn: what the environment said stands between two answers."""
    tokens_BT, decision_BT = rows((LONG, [1, 2, 3, 4, 5]), (LONG, [2, 3]), (SHORT, [1]))
    decision_BT[0, 6:9] = False
    model = language_model()
    found_NH = FastRunner.of(model, torch.float32).hidden_at(tokens_BT, decision_BT)
    torch.testing.assert_close(found_NH, hidden_before(model, tokens_BT, decision_BT))


@pytest.mark.parametrize("key_heads", [1, 2, 6])
def test_heads_may_share_keys(key_heads: int) -> None:
    model, case = language_model(key_heads=key_heads), CASES["shared"]
    torch.testing.assert_close(FastRunner.of(model, torch.float32).hidden_at(*case), hidden_before(model, *case))


# ------------------------------------------------------------ numbers and gradients of a policy


@pytest.mark.parametrize("fewest", [1, 2**18], ids=["large", "small"])
@pytest.mark.parametrize("tied", [True, False], ids=["tied", "own head"])
@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no bias"])
@FULL_OR_LORA
def test_numbers_and_gradients_are_those_of_the_model(
    lora: LoRA | None, bias: bool, tied: bool, fewest: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("strop.compute.products.FEWEST", fewest)
    policy = policy_over(language_model(attention_bias=bias, mlp_bias=bias, tie_word_embeddings=tied), lora)
    found_N, found = gradients(policy, ours)
    true_N, true = gradients(policy, theirs)
    torch.testing.assert_close(found_N, true_N, rtol=0, atol=1e-5)
    assert max(map(relative, found, true)) < 1e-5


@FULL_OR_LORA
def test_in_bfloat16_gradients_are_rounded_and_logits_hardly(lora: LoRA | None, however_small: None) -> None:
    found_N, found = gradients(policy_over(language_model(), lora, "bfloat16"), ours)
    true_N, true = gradients(policy_over(language_model(), lora), theirs)
    assert 1e-4 < (found_N - true_N).abs().max() < 0.1
    assert 1e-4 < max(map(relative, found, true)) < 0.05
    assert all(grad.dtype is torch.float32 for grad in found)


@TYPES
def test_the_head_adds_no_rounding_of_its_own(dtype: str) -> None:
    policy, hidden_NH = policy_over(language_model(), dtype=dtype), torch.randn(6, 24)
    with torch.no_grad():
        expected = hidden_NH @ policy.model.lm_head.weight.T
        torch.testing.assert_close(policy.runner.head()(hidden_NH), expected, rtol=0, atol=1e-5)


@FULL_OR_LORA
@TYPES
def test_a_batch_without_decisions_has_nothing_to_read(dtype: str, lora: LoRA | None, however_small: None) -> None:
    part = batch_of(episode(turn((1, 2), ())), episode(turn((1, 3), ())))
    found_BT = policy_over(language_model(), lora, dtype).heads(part, logprobs)["logprobs"]
    assert torch.equal(found_BT, torch.zeros(part.tokens_BT.shape))


# ------------------------------------------------------------ copies


def moved(policy: Transformer) -> None:
    """One step of the optimiser that changes the log-probs."""
    AdamW(lr=0.05).build(policy.parameters(), policy.lock).step(batch(), [Term(-ours(policy).sum(), {})])


@FULL_OR_LORA
@TYPES
def test_after_a_step_it_reads_the_new_weights_and_after_a_load_the_old_ones(
    dtype: str, lora: LoRA | None, however_small: None
) -> None:
    policy = policy_over(language_model(), lora, dtype)
    saved = {name: tensor.clone() for name, tensor in policy.state_dict()["trainable"].items()}
    first_BV = policy.prefill([(1, 2)])[0]
    before_N = ours(policy).detach()
    moved(policy)
    with torch.no_grad():
        after_N, true_N = ours(policy), theirs(policy)
    assert (after_N - before_N).abs().max() > 0.2
    assert (after_N - true_N).abs().max() < (1e-5 if dtype == "float32" else 0.1)
    assert not torch.allclose(policy.prefill([(1, 2)])[0], first_BV, atol=0.05)
    policy.load_state_dict({**policy.state_dict(), "trainable": saved})
    assert torch.equal(policy.prefill([(1, 2)])[0], first_BV)
    assert torch.equal(ours(policy), before_N)


@FULL_OR_LORA
@TYPES
def test_copies_that_were_made_while_sampling_can_be_learned_through(
    dtype: str, lora: LoRA | None, however_small: None
) -> None:
    policy, other = (policy_over(language_model(), lora, dtype) for _ in range(2))
    with torch.inference_mode():
        policy.prefill([(1, 2)])  # frees what trains
        ours(policy)
    for found, expected in zip(gradients(policy, ours)[1], gradients(other, ours)[1], strict=True):
        assert torch.equal(found, expected)


def copies(policy: Transformer, which: str) -> list[bool]:
    """For each product of training or decoding that is held: whether it trains."""
    runner = policy.runner
    assert isinstance(runner, FastRunner)
    kept = [one for linears in runner._linears() for one in getattr(linears, which)]
    return [any(source.requires_grad for source in one.sources) for one in kept if one._made is not None]


@packs
@FULL_OR_LORA
@PACKED_TYPES
def test_what_trains_is_held_once_at_a_time(dtype: str, lora: LoRA | None, however_small: None) -> None:
    """Copies of frozen weights serve sampling and training for the whole run."""
    policy = policy_over(language_model(), lora, dtype)
    ours(policy)
    trains = copies(policy, "_training")
    assert len(trains) > 2 * 4
    assert not copies(policy, "_decoding")
    policy.prefill([(1, 2)])
    assert copies(policy, "_training") == [False] * (len(trains) if lora else 0)
    decodes = copies(policy, "_decoding")
    assert len(decodes) == 2 * 4 + 1
    with torch.no_grad():
        ours(policy)  # the old log-probs: the policy samples on with what it has
    assert copies(policy, "_decoding") == decodes
    assert copies(policy, "_training") == trains
    ours(policy)
    assert copies(policy, "_decoding") == [False] * (1 if lora else 0)  # the head


@packs
@FULL_OR_LORA
def test_a_copy_is_made_once_for_every_change(
    lora: LoRA | None, however_small: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []

    def counting(name: str) -> Callable[..., Any]:
        make = getattr(linears, name)
        return lambda *given: made.append(name) or make(*given)

    for name in ("trainable", "packed", "packed_with_lora", "rounded"):
        monkeypatch.setattr(linears, name, counting(name))
    policy = policy_over(language_model(), lora)
    training, decoding = ["trainable"] * (2 * 7 + 1), ["packed"] * (2 * 4 + 1)
    if lora:
        decoding = ["packed"] + ["packed_with_lora"] * 2 * 4
    changed = [] if lora else training, decoding[1:] if lora else decoding
    for step in range(3):
        for _ in range(2):
            state = policy.prefill([(1, 2), (3,)])[1]
            state.step(torch.tensor([1, 2]))
        assert sorted(made) == sorted(changed[1] if step else decoding)
        made.clear()
        moved(policy), gradients(policy, ours)
        assert made == (changed[0] * 2 if step else training + changed[0])
        made.clear()


# ------------------------------------------------------------ whom it is for


def test_known_models_on_a_processor_without_a_window() -> None:
    for kind in sorted(MODEL_TYPES):
        assert can_run_fast(language_model(kind), has_adapter=False)
    for kind in ("mistral", "qwen2", "qwen3"):
        windowed = {"use_sliding_window": True, "sliding_window": 4, "layer_types": None}
        assert not can_run_fast(language_model(kind, **windowed), has_adapter=False)
    assert can_run_fast(language_model("qwen2", use_sliding_window=False, sliding_window=4), has_adapter=False)
    assert not can_run_fast(gpt2(), has_adapter=False)
    assert not can_run_fast(language_model("gemma"), has_adapter=False)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16], ids=str)
def test_other_types_are_not_for_it(dtype: torch.dtype) -> None:
    assert not can_run_fast(language_model().to(dtype), has_adapter=False)


def test_another_attention_is_not_for_it() -> None:
    model = language_model()
    model.set_attn_implementation("eager")
    assert not can_run_fast(model, has_adapter=False)


def test_layers_that_compute_something_else_are_not_for_it() -> None:
    class Doubled(torch.nn.Linear):
        def forward(self, input: Tensor) -> Tensor:
            return 2 * super().forward(input)

    for name in ("q_proj", "o_proj"):
        model = language_model()
        setattr(model.model.layers[1].self_attn, name, Doubled(24, 24))
        assert not can_run_fast(model, has_adapter=False)
    model = language_model()
    model.lm_head = Doubled(24, 11, bias=False)
    assert not can_run_fast(model, has_adapter=False)


@pytest.mark.parametrize("targets", ["all-linear", ("q_proj", "lm_head"), ("q_proj", "embed_tokens")], ids=str)
def test_adapters_of_linear_layers_only(targets: Any) -> None:
    policy = policy_over(language_model(), LoRA(rank=2, alpha=4, targets=targets))
    assert can_run_fast(policy.model, has_adapter=True) is ("embed_tokens" not in targets)
    assert not can_run_fast(policy.model, has_adapter=False)


def test_a_tiny_policy_learns_in_bfloat16_too() -> None:
    policy = Transformer.of(llama(), None, 0, "bfloat16")
    part = batch_of(episode(turn((1,), (2, 3))))
    before = policy.heads(part, logprobs)["logprobs"].sum()
    AdamW(lr=0.01).build(policy.parameters(), policy.lock).step(part, [Term(-before, {})])
    assert policy.heads(part, logprobs)["logprobs"].sum() > before + 0.01
