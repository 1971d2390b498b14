"""Every policy that is a language model: its copies, its state, its values and its gradient.

That it is causal, and reads the same numbers each way, stands in `strop verify`.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch

from language_models import ALL, STATEFUL, batch_after, config_of, logits_of, policy_of
from strop.types import Heads
from strop.verify.repeats import differences

ROWS = [(1, 2, 3), (1, 2, 0, 3, 4, 1, 1, 0, 2, 4, 3, 2), (4, 0), (0, 3, 2, 2, 1, 4, 0)]
every = pytest.mark.parametrize("name", ALL)


@every
def test_its_state_makes_another_policy_the_same_in_place(name: str) -> None:
    policy, other = policy_of(name, seed=0, value_head=True), policy_of(name, seed=1, value_head=True)
    wanted, parameters = logits_of(policy, ROWS), other.parameters()
    other.load_state_dict(policy.state_dict())
    assert all(torch.equal(a, b) for a, b in zip(logits_of(other, ROWS), wanted, strict=True))
    assert all(a is b for a, b in zip(parameters, other.parameters(), strict=True))
    assert differences(policy.state_dict(), other.state_dict()) == 0
    with other.lock.reading(), pytest.raises(RuntimeError):
        other.load_state_dict(policy.state_dict())  # it takes the lock


@pytest.mark.parametrize("name", ["table", *STATEFUL])
def test_a_state_is_a_copy(name: str) -> None:
    policy = policy_of(name)
    kept, before = policy.state_dict(), logits_of(policy, ROWS)
    moved(policy)
    policy.load_state_dict(kept)
    assert (logits_of(policy, ROWS)[1] - before[1]).abs().max() == 0.0


@every
def test_a_reference_is_frozen_and_a_twin_goes_its_own_way(name: str) -> None:
    policy = policy_of(name)
    before = logits_of(policy, ROWS)
    reference, twin = policy.reference(), policy.twin()
    assert not any(parameter.requires_grad for parameter in reference.parameters())
    assert all(parameter.requires_grad for parameter in twin.parameters())
    assert twin.lock is not policy.lock
    moved(policy)
    assert all(torch.equal(a, b) for a, b in zip(logits_of(twin, ROWS), before, strict=True))
    for frozen_TV, before_TV in zip(logits_of(reference, ROWS), before, strict=True):  # computed without a gradient
        assert (frozen_TV - before_TV).abs().max() <= 1e-5
    moved(twin)
    after = logits_of(policy, ROWS)
    moved(twin)
    assert all(torch.equal(a, b) for a, b in zip(logits_of(policy, ROWS), after, strict=True))
    assert len({id(p) for p in (*policy.parameters(), *twin.parameters())}) == 2 * len(policy.parameters())


@every
def test_a_value_head_starts_at_0_and_learns(name: str) -> None:
    with pytest.raises(ValueError, match=r"policy\.value_head=true"):
        policy_of(name).heads(batch_after(ROWS), value, frozenset({"value"}))
    policy, _ = config_of(name, value_head=True).build(0, "float32")
    batch = batch_after(ROWS, policy.layout)
    value_BT = policy.heads(batch, value, frozenset({"value"}))["value"]
    assert value_BT.abs().max() == 0.0
    (value_BT - 1.0)[batch.action_BT].square().sum().backward()
    moved_by = [p.grad for p in policy.parameters() if p.grad is not None and p.grad.abs().sum() > 0]
    assert moved_by
    logits_BT = policy.heads(batch, largest, frozenset({"q"}))["largest"]
    assert torch.equal(logits_BT, policy.heads(batch, largest, frozenset({"logits"}))["largest"])


@every
def test_the_gradient_reaches_every_parameter_once(name: str) -> None:
    policy = policy_of(name, value_head=True)
    batch = batch_after(ROWS, policy.layout, [2, 6, 1, 3])  # an encoder that reads one token has nothing to compare
    read = policy.heads(batch, everything, frozenset({"logits", "value"}))
    read["sum"].sum().backward()
    assert len({id(parameter) for parameter in policy.parameters()}) == len(policy.parameters())
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in policy.parameters())


@pytest.mark.parametrize("name", STATEFUL)
def test_a_state_while_sampling_does_not_grow(name: str) -> None:
    policy = policy_of(name)
    sizes = []
    for length in (1, 3, 200):
        logits_BV, state = policy.prefill([(1,) * length, (2,)])
        for _ in range(length):
            logits_BV, state = policy.decode(state, logits_BV.argmax(dim=1))
        sizes.append(sum(tensor.untyped_storage().nbytes() for tensor in tensors(policy.keep(state, [0, 1]))))
    assert sizes[0] == sizes[1] == sizes[2] > 0


def moved(policy: Any) -> None:
    """All weights changed."""
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter.mul_(1.1).add_(0.1)


def value(heads: Heads) -> dict[str, torch.Tensor]:
    assert heads.value_N is not None
    return {"value": heads.value_N}


def largest(heads: Heads) -> dict[str, torch.Tensor]:
    found_NV = heads.logits_NV if heads.logits_NV is not None else heads.q_NV
    assert found_NV is not None
    return {"largest": found_NV.max(dim=-1).values}


def everything(heads: Heads) -> dict[str, torch.Tensor]:
    assert heads.logits_NV is not None
    assert heads.value_N is not None
    return {"sum": heads.logits_NV.log_softmax(-1)[:, 0] + heads.value_N}


def tensors(state: Any) -> list[torch.Tensor]:
    """The tensors of a state."""
    if isinstance(state, torch.Tensor):
        return [state]
    if isinstance(state, list | tuple):
        return [tensor for one in state for tensor in tensors(one)]
    return tensors(getattr(state, "last", ()))
