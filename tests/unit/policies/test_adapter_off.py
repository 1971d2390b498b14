"""The base under an adapter: its numbers, while the adapter is used before, after and in between."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor

from exact.build import batch_of, episode, language_model, policy_over, turn
from strop.compute.fast_runner import FastRunner
from strop.learners.logprobs import read_actions
from strop.policies.adapter_off import AdapterOff
from strop.policies.adapters import LoRA
from strop.policies.transformer import Transformer
from strop.samplers.local import LocalSampler
from strop.streams import stream
from strop.types import Sampling

PROMPTS = [(1, 2, 3), (4,), (1, 2, 3), (5, 6)]
SAMPLING = Sampling(max_tokens=4, temperature=1.3)
ALL = LoRA(rank=2, alpha=4)
SOME = LoRA(rank=2, alpha=4, targets=("q_proj", "up_proj"))


@dataclass(frozen=True)
class Case:
    """Whether matrices are large enough for the processor's own products, the adapter, the type and the way."""

    is_large: bool
    lora: LoRA = ALL
    dtype: str = "float32"
    is_plain: bool = False

    def pair(self) -> tuple[Transformer, Transformer]:
        """A policy with the adapter, and the base alone."""
        one, other = (
            policy_over(language_model(), lora, self.dtype, is_plain=self.is_plain) for lora in (self.lora, None)
        )
        return one, other


FEW = [Case(True), Case(True, SOME, "bfloat16"), Case(False, SOME), Case(False, ALL, "bfloat16", is_plain=True)]
CASES = FEW + [
    pytest.param(case, marks=pytest.mark.matrix)
    for case in (Case(*many) for many in product([True, False], [ALL, SOME], ["float32", "bfloat16"], [True, False]))
    if case not in FEW
]


@pytest.fixture(params=CASES, ids=str)
def case(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Case:
    """Every combination; a few of them in the fast tests."""
    monkeypatch.setattr("strop.compute.products.FEWEST", 1 if request.param.is_large else 2**18)
    return request.param


def sampled(policy: Any) -> list[Any]:
    """Completions, with their log-probs."""
    return LocalSampler(policy, frozenset({0})).sample(PROMPTS, SAMPLING, [stream(0, "t", i) for i in range(4)])


def scored(policy: Any) -> Tensor:
    part = batch_of(*(episode(turn(prompt, (7, 8, 9))) for prompt in PROMPTS))
    with torch.no_grad():
        return read_actions(policy, part, SAMPLING)["logprobs"]


def tokens(completions: list[Any]) -> list[Any]:
    return [one.tokens for one in completions]


@pytest.mark.matrix
def test_it_samples_and_scores_as_the_base_does_and_the_policy_as_if_it_were_not_there(case: Case) -> None:
    policy, base = case.pair()
    alone, _ = case.pair()
    off = policy.reference()
    assert isinstance(off, AdapterOff)
    for _ in range(2):  # whoever comes first
        assert sampled(off) == sampled(base)
        assert torch.equal(scored(off), scored(base))
        assert sampled(policy) == sampled(alone)
        assert torch.equal(scored(policy), scored(alone))
    assert tokens(sampled(policy)) != tokens(sampled(off))


@pytest.mark.matrix
def test_both_may_decode_in_turn(case: Case) -> None:
    policy, base = case.pair()
    off = policy.reference()

    def steps(*policies: Any) -> list[list[Tensor]]:
        """Three tokens of each policy, turn by turn."""
        states = [one.keep(one.prefill(PROMPTS)[1], [0, 0, 3]) for one in policies]
        found = [
            [one.decode(state, torch.tensor([t, 7, 9]))[0] for one, state in zip(policies, states, strict=True)]
            for t in range(3)
        ]
        return [[*each] for each in zip(*found, strict=True)]

    together = steps(policy, off)
    for ours, alone in zip(together, [steps(policy)[0], steps(base)[0]], strict=True):
        assert all(map(torch.equal, ours, alone))
    assert not torch.allclose(together[0][0], together[1][0], atol=0.05)


def test_it_stays_where_it_is_when_the_adapter_learns(case: Case) -> None:
    policy, base = case.pair()
    off = policy.reference()
    _, state = off.prefill(PROMPTS)
    before = scored(policy)
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter.add_(0.3)
    first_BV = off.decode(state, torch.tensor([7, 8, 9, 10]))[0]
    assert torch.equal(first_BV, base.prefill(PROMPTS)[1].step(torch.tensor([7, 8, 9, 10])))
    assert torch.equal(scored(off), scored(base))
    assert sampled(off) == sampled(base)
    assert not torch.allclose(scored(policy), before, atol=0.05)


def test_both_share_the_copies_of_the_base_for_training(case: Case) -> None:
    policy, _ = replace(case, is_plain=False).pair()  # the plain path trains with the model's own weights
    off = policy.reference()
    assert isinstance(policy.runner, FastRunner)
    assert isinstance(off._runner, FastRunner)
    scored(off)
    many = list(zip(policy.runner._linears(), off._runner._linears(), strict=True))
    made = [[kept.get() for kept in ours._training] for ours, _ in many]
    scored(policy), scored(off)
    assert [[kept.get() for kept in base._training] for _, base in many] == made
    assert any(made) or not case.is_large


def test_it_learns_nothing() -> None:
    policy, _ = Case(is_large=False).pair()
    off = policy.reference()
    part = batch_of(episode(turn((1, 2), (3, 4))))
    assert not off.heads(part, lambda heads: {"first": heads.logits_NV[:, 0]})["first"].requires_grad
    assert off.parameters() == []
    assert off.state_dict() == {}
    assert off.reference() is off.twin() is off
