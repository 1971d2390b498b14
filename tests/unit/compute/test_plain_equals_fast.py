"""The plain path, which accelerators take, beside the fast path on the same processor: for every policy the same
log-probs, values, gradients and samples.

In float32 the two differ by the order of their sums: numbers by 1e-6, gradients by 1e-6 of their norm. In bfloat16 each
rounds at other places: log-probs differ by 0.0025 nats in the mean, where strop allows a sampler and a trainer 0.05,
and gradients by 0.5 % of their norm, less than either differs from float32's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor

from exact.build import batch_of, episode, language_model, policy_over, turn
from strop.compute.fast_runner import MODEL_TYPES, FastRunner
from strop.compute.plain_runner import PlainRunner
from strop.functional.distributions import entropy, gather, logprobs_of
from strop.learners.logprobs import sampler_metrics
from strop.policies.adapter_off import AdapterOff
from strop.policies.adapters import LoRA
from strop.policies.scratch import Scratch
from strop.policies.steered import Steered
from strop.policies.transformer import Transformer
from strop.runs.guards import GapTolerance, sampler_gap
from strop.samplers.local import LocalSampler
from strop.streams import stream
from strop.types import Batch, Completion, Heads, Sampling

NEAR, GRADIENT_NEAR = 3e-6, 1e-5
"""In float32: three and ten times what they differ by."""
ROUNDING = 0.02
"""In bfloat16, for log-probs, values and gradients."""
PROMPTS = [(1, 2, 3, 4, 5), (6,), (1, 2, 3, 4, 5), (3, 9, 1), (6,), (1, 2, 3, 4, 5, 6, 7, 8, 9)] * 2
BEGUN_ALIKE = [(1, 2, 3, 4, 5, 6), (1, 2, 3, 4, 7), (1, 2, 3, 4), (1, 2, 3, 4, 7)]
"""The third is the beginning of the others, which the fast path reads once."""
SAMPLING = Sampling(temperature=1.2, top_p=0.95, max_tokens=8)
ADAPTER = LoRA(rank=2, alpha=4)

Make = Callable[[str, bool], Any]
"""(dtype, is_plain) -> a policy with a value head."""


def over(kind: str, lora: LoRA | None = None) -> Make:
    return lambda dtype, is_plain: policy_over(language_model(kind), lora, dtype, value_head=True, is_plain=is_plain)


def scratch(dtype: str, is_plain: bool) -> Transformer:
    model = Scratch(words=[f"w{i}" for i in range(10)], width=16, num_heads=2).build(0, dtype)[0].model
    return policy_over(model, None, dtype, value_head=True, is_plain=is_plain)


def steered(make: Make) -> Make:
    """Over the policy as a base, a critic that has moved away from it."""

    def build(dtype: str, is_plain: bool) -> Steered:
        critic = make(dtype, is_plain)
        base, generator = critic.twin(), torch.Generator().manual_seed(2)
        for parameter in base.parameters():
            parameter.data.add_(0.05 * torch.randn(parameter.shape, generator=generator))
        return Steered(base.reference(), critic, strength=0.7)

    return build


POLICIES: dict[str, Make] = {
    "scratch": scratch,
    **{kind: over(kind) for kind in sorted(MODEL_TYPES)},
    **{f"{kind} lora": over(kind, ADAPTER) for kind in sorted(MODEL_TYPES)},
    "some lora": over("llama", LoRA(rank=2, alpha=4, targets=("q_proj", "down_proj"), num_layers=1)),
    "steered scratch": steered(scratch),
    "steered qwen2": steered(over("qwen2")),
    "steered lora": steered(over("llama", ADAPTER)),
}
FIXED: dict[str, Make] = {
    "adapter off": lambda dtype, is_plain: over("llama", ADAPTER)(dtype, is_plain).reference(),
    "a frozen copy": lambda dtype, is_plain: over("smollm3")(dtype, is_plain).reference(),
}
"""Policies that learn nothing."""
BFLOAT16 = {"scratch", "qwen3", "llama lora", "some lora", "steered lora", "adapter off"}
"""The policies that the fast tests compute in bfloat16 too."""


def every(policies: Iterable[str], fast: Iterable[str]) -> Any:
    """A test for each policy, `matrix` for those that are not in `fast`."""
    marked = {name: [] if name in fast else [pytest.mark.matrix] for name in policies}
    return pytest.mark.parametrize("name", [pytest.param(name, marks=marks) for name, marks in marked.items()])


@cache
def both(name: str, dtype: str = "float32") -> tuple[Any, Any]:
    """The same policy on the fast path and on the plain one. No test changes them."""
    make = (POLICIES | FIXED)[name]
    return make(dtype, False), make(dtype, True)


def sampled(policy: Any) -> list[Completion]:
    return LocalSampler(policy, frozenset({0})).sample(
        PROMPTS, SAMPLING, [stream(0, "t", i) for i in range(len(PROMPTS))]
    )


def as_batch(completions: list[Completion]) -> Batch:
    turns = [turn(p, c.tokens, c.logprobs) for p, c in zip(PROMPTS, completions, strict=True)]
    return batch_of(*map(episode, turns))


def read(policy: Any, batch: Batch) -> dict[str, Tensor]:
    """Log-probs, entropies and, where there is a value head, values and action values."""

    def reduce(heads: Heads) -> dict[str, Tensor]:
        assert heads.logits_NV is not None
        logprobs_NV = logprobs_of(heads.logits_NV, SAMPLING)
        found = {"logprobs": gather(logprobs_NV, heads.tokens_N), "entropy": entropy(logprobs_NV.detach())}
        if heads.value_N is not None and heads.q_NV is not None:
            found |= {"value": heads.value_N, "q": gather(heads.q_NV, heads.tokens_N)}
        return found

    want = {"logits", "value", "q"} if policy.has_values else {"logits"}
    return policy.heads(batch, reduce, frozenset(want))


def gradients(policy: Any, batch: Batch) -> tuple[Tensor, ...]:
    """Of a weighted sum of all numbers that have one."""
    found = read(policy, batch)
    learnt = torch.cat([found[name][batch.decision_BT] for name in ("logprobs", "value", "q")])
    return torch.autograd.grad((learnt * torch.linspace(-1, 2, len(learnt))).sum(), policy.parameters())


def paths(policy: Any) -> set[type]:
    """What runs the models of a policy: without this, a path might be compared with itself."""
    many = [policy.base, policy.critic] if isinstance(policy, Steered) else [policy]
    return {type(one._runner if isinstance(one, AdapterOff) else one.runner) for one in many}


def relative(found: Tensor, true: Tensor) -> float:
    return ((found - true).norm() / true.norm().clamp(min=1e-6)).item()


@pytest.mark.matrix
@every(POLICIES | FIXED, POLICIES | FIXED)
def test_in_float32_samples_numbers_and_gradients_are_the_same(name: str) -> None:
    fast, plain = both(name)
    assert (paths(fast), paths(plain)) == ({FastRunner}, {PlainRunner})
    ours, theirs = sampled(fast), sampled(plain)
    assert [one.tokens for one in ours] == [one.tokens for one in theirs]
    assert len({one.tokens for one in ours}) > 6
    for one, other in zip(ours, theirs, strict=True):
        assert one.logprobs == pytest.approx(other.logprobs, abs=NEAR)
    batch = as_batch(ours)
    found, expected = read(fast, batch), read(plain, batch)
    assert found.keys() == expected.keys()
    for key, found_BT in found.items():
        assert found_BT.abs().max() > 0.01
        torch.testing.assert_close(found_BT, expected[key], rtol=0, atol=NEAR)
    if name in POLICIES:
        pairs = list(zip(gradients(fast, batch), gradients(plain, batch), strict=True))
        assert max(relative(*pair) for pair in pairs) < GRADIENT_NEAR
        assert all(one.norm() > 1e-3 for one, _ in pairs)


@pytest.mark.matrix
@every(POLICIES | FIXED, BFLOAT16)
@pytest.mark.usefixtures("however_small")
def test_in_bfloat16_each_samples_what_the_other_scores(name: str) -> None:
    fast, plain = both(name, "bfloat16")
    for sampler, trainer in ((fast, plain), (plain, fast)):
        batch = as_batch(sampled(sampler))
        metrics = sampler_metrics(batch, read(trainer, batch))
        assert sampler_gap(metrics, GapTolerance.of("bfloat16"))  # raises above the tolerance
        assert 0.0 < metrics["policy/sampler_gap_mean"].value < ROUNDING


@every(POLICIES, BFLOAT16)
@pytest.mark.usefixtures("however_small")
def test_in_bfloat16_values_and_gradients_are_as_near_as_rounding(name: str) -> None:
    exact, _ = both(name)
    fast, plain = both(name, "bfloat16")
    batch = as_batch(sampled(exact))
    true = gradients(exact, batch)
    of = [
        torch.cat([one.flatten() for one in found]) for found in (gradients(fast, batch), gradients(plain, batch), true)
    ]
    assert relative(of[0], of[1]) < ROUNDING
    assert 1e-4 < relative(of[0], of[2]) < ROUNDING
    ours, theirs = read(fast, batch), read(plain, batch)
    for key in ("value", "q"):
        assert (ours[key] - theirs[key]).abs().mean() < ROUNDING


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", ["llama", "llama lora", "some lora"])
@pytest.mark.usefixtures("however_small")
def test_prompts_that_begin_alike_are_read_as_if_apart(name: str, dtype: str) -> None:
    fast, plain = both(name, dtype)
    near, gradient_near = (NEAR, GRADIENT_NEAR) if dtype == "float32" else (0.1, ROUNDING)
    logits_PV, expected_PV = (policy.prefill(BEGUN_ALIKE)[0] for policy in (fast, plain))
    assert (logits_PV - expected_PV).abs().max() < near
    answers = expected_PV.argmax(dim=1).tolist()
    batch = batch_of(*(episode(turn(prompt, (answer,))) for prompt, answer in zip(BEGUN_ALIKE, answers, strict=True)))
    for key, found_BT in read(fast, batch).items():
        assert (found_BT - read(plain, batch)[key]).abs().max() < near
    found, true = (torch.cat([one.flatten() for one in gradients(policy, batch)]) for policy in (fast, plain))
    assert relative(found, true) < gradient_near
