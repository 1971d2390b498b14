"""The transformer as a policy: what it samples is what it scores, whatever shares a batch, a cache or a chunk."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from exact.build import batch_of, episode, flat, gpt2, llama, transformer, turn
from strop.learners.logprobs import read_actions
from strop.policies.adapters import merged_state_dict
from strop.policies.transformer import Transformer
from strop.samplers.local import LocalSampler
from strop.streams import stream
from strop.types import Batch, End, Heads, Sampling

pytestmark = pytest.mark.usefixtures("path")
RAGGED = [(1, 2, 3, 4, 5), (6,), (1, 2, 3, 4, 5), (3, 3, 1), (6,), (1, 2, 3, 4, 5, 6, 1, 2, 3)]
HOT = Sampling(temperature=1.3, max_tokens=7)


def plain_logprobs(
    policy: Transformer, prompt: tuple[int, ...], tokens: tuple[int, ...], temperature: float
) -> list[float]:
    """Each token from its own forward pass over the bare prefix: no padding, no cache, no batch."""
    out = []
    for t, token in enumerate(tokens):
        with torch.no_grad():
            logits = policy.model(input_ids=torch.tensor([prompt + tokens[:t]]), use_cache=False).logits[0, -1]
        out.append(torch.log_softmax(logits.double() / temperature, -1)[token].item())
    return out


@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_sampled_logprobs_are_those_of_a_plain_forward(kind: str) -> None:
    # ragged prompts (left padding), equal ones sharing a prefill, rows that finish early and leave; GPT-2 has absolute
    # positions, so a wrong position id shows in tenths of a nat
    policy = Transformer(gpt2()) if kind == "gpt2" else transformer("llama")
    sampler = LocalSampler(policy, frozenset({0}))
    completions = sampler.sample(RAGGED, HOT, [stream(0, "test", i) for i in range(len(RAGGED))])
    assert len({len(one.tokens) for one in completions}) > 1  # some rows left before others
    for prompt, one in zip(RAGGED, completions, strict=True):
        assert one.logprobs == pytest.approx(plain_logprobs(policy, prompt, one.tokens, 1.3), abs=1e-4)


@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_scored_logprobs_are_the_sampled_ones(kind: str) -> None:
    policy = Transformer(gpt2()) if kind == "gpt2" else transformer("llama")
    sampler = LocalSampler(policy, frozenset({0}))
    completions = sampler.sample(RAGGED, HOT, [stream(1, "test", i) for i in range(len(RAGGED))])
    batch = batch_of(*(episode(turn(p, c.tokens, c.logprobs)) for p, c in zip(RAGGED, completions, strict=True)))
    gap = read_actions(policy, batch, HOT)["logprobs"].detach().double() - batch.logprobs_BT
    assert float(gap[batch.action_BT].abs().max()) < 1e-4


def test_a_completion_does_not_depend_on_what_shares_its_batch() -> None:
    policy = transformer("llama")
    together = LocalSampler(policy, frozenset({0})).sample(RAGGED, HOT, [stream(2, "t", i) for i in range(6)])
    small = LocalSampler(policy, frozenset({0}), batch=2).sample(RAGGED, HOT, [stream(2, "t", i) for i in range(6)])
    alone = [
        LocalSampler(policy, frozenset({0})).sample([p], HOT, [stream(2, "t", i)])[0] for i, p in enumerate(RAGGED)
    ]
    assert [one.tokens for one in together] == [one.tokens for one in alone] == [one.tokens for one in small]


def test_completions_of_one_prompt_differ() -> None:
    policy = transformer("llama")
    group = LocalSampler(policy, frozenset({0})).sample([(1, 2)] * 8, HOT, [stream(0, "t", i) for i in range(8)])
    assert len({one.tokens for one in group}) > 4


def test_equal_prompts_share_one_prefill(monkeypatch: pytest.MonkeyPatch) -> None:
    policy = transformer("llama")
    seen = []
    prefill = policy.prefill
    monkeypatch.setattr(policy, "prefill", lambda prompts: seen.append(list(prompts)) or prefill(prompts))
    LocalSampler(policy, frozenset()).sample(RAGGED, HOT, [stream(0, "t", i) for i in range(6)])
    assert seen == [[RAGGED[0], RAGGED[1], RAGGED[3], RAGGED[5]]]


def ragged_batch() -> Batch:
    return batch_of(
        episode(turn((1, 2), (3, 4)), turn((1, 2, 3, 4, 6, 6), (5, 0))),
        episode(turn((1,), (2, 2, 2, 2, 2, 2)), end=End.TRUNCATED, final=(1, 2, 2, 2, 2, 2, 2, 3)),
        episode(turn((5, 5, 5), (0,))),
    )


def test_a_later_token_changes_no_earlier_logit() -> None:
    policy, batch = transformer("gpt2"), ragged_batch()
    changed_BT = batch.tokens_BT.clone()
    changed_BT[0, 3] = 0  # the second action of row 0; it is predicted at slot 3 and read from slot 4 on
    before = read_actions(policy, batch, Sampling())["logprobs"]
    after = read_actions(policy, replace(batch, tokens_BT=changed_BT), Sampling())["logprobs"]
    assert torch.equal(before[0, :3], after[0, :3])
    assert not torch.allclose(before[0, 6:8], after[0, 6:8])
    assert torch.equal(before[1:], after[1:])


def test_heads_read_the_slot_before_the_action() -> None:
    policy, batch = transformer("gpt2"), ragged_batch()
    read: list[Heads] = []

    def reduce(heads: Heads) -> dict[str, torch.Tensor]:
        read.append(heads)
        return {"first": heads.logits_NV[:, 0]}

    first_BT = policy.heads(batch, reduce)["first"].detach()
    slots = batch.decision_BT.nonzero().tolist()
    assert len(slots) == int(batch.action_BT.sum()) + 1  # the truncated row's bootstrap slot too
    for b, t in slots:
        with torch.no_grad():
            direct = policy.model(input_ids=batch.tokens_BT[b : b + 1, :t]).logits[0, -1, 0]
        assert abs(float(first_BT[b, t] - direct)) < 1e-12
    assert float(first_BT[~batch.decision_BT].abs().sum()) == 0.0


# 12 decisions of 7 logits in float32: 100 bytes hold 3 of them, 140 hold 5, and 3 chunks of 4 are as many as 5, 5, 2
@pytest.mark.parametrize(
    ("chunk_bytes", "firsts"), [(1, [*range(12)]), (100, [0, 3, 6, 9]), (140, [0, 4, 8]), (10**9, [0])]
)
def test_chunks_of_logits_change_neither_values_nor_gradients(
    chunk_bytes: int, firsts: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    policy, batch = transformer("gpt2"), ragged_batch()

    def values_and_gradient() -> tuple[torch.Tensor, torch.Tensor, list[int]]:
        calls: list[int] = []
        scores = read_actions(policy, batch, HOT)
        policy.heads(batch, lambda heads: calls.append(heads.first) or {"x": heads.tokens_N})
        total = torch.where(batch.action_BT, scores["logprobs"], 0.0).sum()
        gradient = torch.autograd.grad(total, policy.parameters(), allow_unused=True)
        return scores["logprobs"].detach(), flat([g for g in gradient if g is not None]), calls

    whole = values_and_gradient()
    monkeypatch.setattr("strop.compute.output_head.CHUNK_BYTES", chunk_bytes)
    chunked = values_and_gradient()
    assert (whole[2], chunked[2]) == ([0], firsts)
    assert torch.allclose(whole[0], chunked[0], atol=1e-14)
    assert torch.allclose(whole[1], chunked[1], atol=1e-12)


def test_dropout_is_off() -> None:
    model = gpt2()
    model.train()
    policy, batch = Transformer(model), ragged_batch()
    assert not policy.model.training
    assert torch.equal(read_actions(policy, batch, HOT)["logprobs"], read_actions(policy, batch, HOT)["logprobs"])


# ------------------------------------------------------------ adapters and references


def stepped(policy: Any) -> None:
    """Move every trainable parameter."""
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))


def test_a_fresh_adapter_is_the_base_bitwise() -> None:
    batch = ragged_batch()
    base, adapted = transformer("llama"), transformer("llama", lora=True)
    assert torch.equal(read_actions(base, batch, HOT)["logprobs"], read_actions(adapted, batch, HOT)["logprobs"])
    assert 0 < len(adapted.parameters()) < len(base.parameters()) * 3


def test_the_adapter_switched_off_is_the_base_bitwise_after_training() -> None:
    batch = ragged_batch()
    base, adapted = transformer("llama"), transformer("llama", lora=True)
    reference = adapted.reference()
    stepped(adapted)
    expected = read_actions(base, batch, HOT)["logprobs"].detach()
    assert torch.equal(read_actions(reference, batch, HOT)["logprobs"], expected)
    moved = read_actions(adapted, batch, HOT)["logprobs"]
    assert not torch.allclose(moved, expected, atol=1e-3)  # and it is on again afterwards
    assert moved.requires_grad
    rngs = [stream(0, "t", i) for i in range(2)]
    again = [stream(0, "t", i) for i in range(2)]
    off = LocalSampler(reference, frozenset({0})).sample([(1, 2), (3,)], HOT, rngs)
    plain = LocalSampler(base, frozenset({0})).sample([(1, 2), (3,)], HOT, again)
    assert [one.tokens for one in off] == [one.tokens for one in plain]


def test_a_full_reference_stays_where_the_run_began() -> None:
    policy, batch = transformer("llama"), ragged_batch()
    expected = read_actions(policy, batch, HOT)["logprobs"].detach()
    reference = policy.reference()
    stepped(policy)
    got = read_actions(reference, batch, HOT)["logprobs"]
    assert torch.equal(got, expected)
    assert not got.requires_grad
    assert reference.parameters() == []


def test_the_adapter_trains_and_the_base_does_not() -> None:
    policy, batch = transformer("llama", lora=True), ragged_batch()
    frozen = {name: p.clone() for name, p in policy.model.named_parameters() if not p.requires_grad}
    torch.where(batch.action_BT, read_actions(policy, batch, HOT)["logprobs"], 0.0).sum().backward()
    touched = [
        name for name, p in policy.model.named_parameters() if p.grad is not None and float(p.grad.abs().sum()) > 0
    ]
    assert touched
    assert all("lora_B" in name for name in touched)  # at B = 0 only B has a gradient
    assert all(torch.equal(p, frozen[name]) for name, p in policy.model.named_parameters() if name in frozen)


def test_the_adapter_depends_on_the_seed_alone() -> None:
    torch.manual_seed(1)
    first = transformer("llama", lora=True, seed=3)
    torch.manual_seed(2)
    second = transformer("llama", lora=True, seed=3)
    assert torch.equal(flat(first.parameters()), flat(second.parameters()))


def test_an_adapter_refuses_another_base() -> None:
    state = copy.deepcopy(transformer("llama", lora=True, seed=0).state_dict())
    with pytest.raises(ValueError, match="another base"):
        transformer("llama", lora=True, seed=1).load_state_dict(state)


def test_merging_the_adapter_gives_the_same_logits_under_plain_names() -> None:
    adapted = transformer("llama", lora=True)
    stepped(adapted)
    plain = llama()
    plain.load_state_dict(merged_state_dict(adapted.model))
    batch = ragged_batch()
    merged = read_actions(Transformer(plain), batch, HOT)["logprobs"]
    assert torch.allclose(merged, read_actions(adapted, batch, HOT)["logprobs"], atol=1e-5)


def test_bfloat16_computes_low_and_scores_in_float32() -> None:
    policy, batch = Transformer(llama(), dtype="bfloat16"), ragged_batch()
    low, high = read_actions(policy, batch, HOT)["logprobs"], read_actions(transformer("llama"), batch, HOT)["logprobs"]
    assert low.dtype == torch.float32
    assert 0 < float((low - high).detach().abs().max()) < 0.2
    completion = LocalSampler(policy, frozenset({0})).sample([(1, 2)], HOT, [np.random.default_rng(0)])[0]
    assert len(completion.tokens) >= 1


def test_a_model_that_changes_its_logits_after_the_head_is_refused() -> None:
    model = llama()
    forward = model.forward

    def capped(*args: Any, **kwargs: Any) -> Any:
        out = forward(*args, **kwargs)
        out.logits = torch.tanh(out.logits)
        return out

    model.forward = capped
    with pytest.raises(ValueError, match="soft-capping"):
        Transformer(model)


@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_a_shared_prompt_gives_what_rows_alone_give(kind: str) -> None:
    # a long prompt with a short answer beside a shared short prompt with long ones, together as wide as the context
    policy = transformer(kind, context=16)
    many = [
        episode(turn((1, 2, 3, 4, 5, 6, 1, 2, 3, 4, 5, 6, 1, 2), (3, 0))),
        episode(turn((1, 2), (3, 4, 5, 6, 1, 2, 3, 4, 5, 6, 1, 2, 3, 0))),
        episode(turn((1, 2), (6, 6)), turn((1, 2, 6, 6, 5), (4, 0))),
        episode(turn((1, 2), ())),
    ]
    together = read_actions(policy, batch_of(*many), HOT)["logprobs"].detach()
    for row, one in enumerate(many[:3]):
        alone = read_actions(policy, batch_of(one), HOT)["logprobs"].detach()[0]
        assert torch.allclose(together[row, : len(alone)], alone, atol=1e-12 if kind == "gpt2" else 1e-5)
