"""A steered policy acts by base * exp(strength * Q), in sampling and in scoring alike."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from exact.build import batch_of, episode, flat, turn
from strop.algorithms.ilql import ILQL
from strop.learners.logprobs import read_actions
from strop.optimizer import SGD
from strop.policies.scratch import Scratch
from strop.policies.steered import Steered
from strop.policies.table import Table
from strop.samplers.local import LocalSampler
from strop.types import End, Sampling

WORDS = ["a", "b", "c"]


def steered(kind: str, strength: float = 2.0) -> Steered:
    """A base and a critic whose numbers differ."""
    base = {
        "table": Table.Config(words=WORDS, order=1, value_head=True),
        "scratch": Scratch(words=WORDS, width=16, num_heads=2, value_head=True),
    }[kind]
    policy, _ = Steered.Config(base=base, strength=strength).build(0, "float32")
    read_actions(policy, batch_of(episode(turn((0,), (1, 2, 0)))), Sampling())  # every context of one word has a row
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype))
    return policy


def probs_of(logits_V: torch.Tensor) -> list[float]:
    return torch.softmax(logits_V.double(), -1).tolist()


def test_the_distribution_by_hand() -> None:
    # base .5 .25 .25 and Q = (0, ln 2, ln 3) at strength 2: .5 * 1, .25 * 4, .25 * 9 over 3.75
    base, critic = Table(3), Table(3)
    with torch.no_grad():
        base.weight[base.row((1,))] = torch.tensor([0.5, 0.25, 0.25]).log()
        critic.weight[critic.row((1,))] = torch.tensor([1.0, 2.0, 3.0]).log() + 5.0  # any V shifts all alike
    logits_BV, _ = Steered(base, critic, 2.0).prefill([(1,)])
    assert probs_of(logits_BV[0]) == pytest.approx([0.5 / 3.75, 1 / 3.75, 2.25 / 3.75], abs=1e-7)
    logits_BV, _ = Steered(base, critic, 0.0).prefill([(1,)])
    assert probs_of(logits_BV[0]) == pytest.approx([0.5, 0.25, 0.25], abs=1e-7)


@pytest.mark.parametrize("kind", ["table", "scratch"])
def test_what_is_sampled_is_what_is_scored(kind: str) -> None:
    policy, sampling = steered(kind), Sampling(max_tokens=4)
    prompts = [(1,), (1,), (2, 2)]
    rngs = [np.random.default_rng(i) for i in range(3)]
    completions = LocalSampler(policy, frozenset()).sample(prompts, sampling, rngs)
    batch = batch_of(
        *(episode(turn(p, c.tokens, c.logprobs)) for p, c in zip(prompts, completions, strict=True)),
        layout=policy.layout,
    )
    gap_BT = read_actions(policy, batch, sampling)["logprobs"].detach() - batch.logprobs_BT
    assert float(gap_BT[batch.action_BT].abs().max()) < 1e-5
    for prompt in prompts:  # and it is the two parts together, read one by one
        base, q = policy.base.prefill([prompt])[0][0], policy.critic.prefill([prompt])[0][0]
        tilted = torch.log_softmax(base.double(), -1) + 2.0 * q.double()
        assert probs_of(policy.prefill([prompt])[0][0]) == pytest.approx(probs_of(tilted), abs=1e-5)


@pytest.mark.parametrize("kind", ["table", "scratch"])
def test_only_the_critic_trains_and_is_kept(kind: str) -> None:
    policy = steered(kind)
    before = policy.base.prefill([(1,)])[0].clone()
    config = ILQL.Config(optimizer=SGD(lr=0.5), target_share=1.0)
    data = batch_of(episode(turn((1,), (0,), None), reward=1.0, end=End.TRUNCATED, final=(2, 2)), layout=policy.layout)
    start = flat(policy.parameters())
    config.build(policy, Sampling(), 4096).update(data)
    assert not torch.equal(flat(policy.parameters()), start)
    assert torch.equal(policy.base.prefill([(1,)])[0], before)
    twin, frozen = policy.twin(), policy.reference()
    now = policy.prefill([(1,)])[0].clone()
    state = policy.state_dict()
    state = {name: value.clone() if isinstance(value, torch.Tensor) else value for name, value in state.items()}
    for parameter in policy.parameters():
        parameter.data.add_(1.0 + torch.arange(parameter.shape[-1]).to(parameter.dtype))
    assert not torch.allclose(policy.prefill([(1,)])[0], now)
    for other in (twin, frozen):
        assert torch.allclose(other.prefill([(1,)])[0], now)
    assert frozen.base is policy.base


def test_ilql_steers_towards_what_the_data_paid() -> None:
    # from a uniform base, word b paid 1 and a paid 0: Q -> (0, 1), so the odds of b over a become exp(strength)
    policy, codec = Steered.Config(base=Table.Config(words=WORDS, value_head=True), strength=3.0).build(0, "float64")
    config = ILQL.Config(optimizer=SGD(lr=0.5), conservative=0.0, target_share=1.0)
    algorithm = config.build(policy, Sampling(), 4096)
    a, b = codec.encode("a"), codec.encode("b")
    data = batch_of(
        episode(turn((2,), a, None), reward=0.0), episode(turn((2,), b, None), reward=1.0), layout="per_turn"
    )
    for _ in range(60):
        algorithm.update(data)
    logits_V = policy.prefill([(2,)])[0][0]
    assert (logits_V[b[0]] - logits_V[a[0]]).item() == pytest.approx(3.0, abs=1e-6)
    assert math.isfinite(float(logits_V.sum()))


def test_a_negative_strength_is_refused() -> None:
    with pytest.raises(ValueError, match=r"policy\.strength"):
        Steered.Config(base=Table.Config(words=WORDS), strength=-1.0)
